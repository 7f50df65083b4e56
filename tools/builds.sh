# Builds in the way of users and packagers. Read by ./dev.
# shellcheck shell=bash

# Each below target/builds, with a target directory of its own.
cmd_builds() {
    need_to_build
    builds=$target/builds
    mkdir -p "$builds"
    builds=$(cd "$builds" && pwd)
    build_bare
    test_without_library
    build_with_floors
    build_beside_others
    build_live_table
}

# With the programs that README.md names in PATH, and no environment: no formatter, no personal setting.
build_bare() {
    say "build with only cargo, rustc, a linker, pkg-config and libclang"
    # The variables that locate the library and libclang are inputs.
    in_bare_path "pkg-config LIBCLANG_PATH PKG_CONFIG_PATH PKG_CONFIG_LIBDIR" bare \
        build --locked --offline --workspace --all-features
}

# Without any part of the C library: no pkg-config, no header, no libclang. All tests run, with the programs
# that they need.
test_without_library() {
    local features
    features=$(features_without_library)
    say "build with only cargo, rustc and a linker: features $features"
    in_bare_path "" without-library test --no-run --locked --offline --no-default-features --features "$features"
    need unshare nft ip conntrack
    find_privilege
    use_runner "${runner[@]}"
    PKG_CONFIG=/nonexistent CARGO_TARGET_DIR=$builds/without-library \
        cargo test --locked --offline --no-default-features --features "$features"
    printf '%s crates without the C library, %s with it\n' \
        "$(crates normal,build --no-default-features --features "$features")" \
        "$(crates normal,build --all-features)"
}

# Runs cargo's "$3…" in target directory $2 with cargo, rustc and a linker in PATH, with the programs that $1
# names in lower case, and with the variables that it names in upper case.
in_bare_path() {
    local bin=$builds/bin rust tool kept=() variable names=$1 folder=$2
    shift 2
    rust=$(rustc --print sysroot)/bin
    rm -rf "$bin"
    mkdir "$bin"
    ln -s "$rust/cargo" "$rust/rustc" "$bin"
    for tool in cc ld $(grep -oE '\b[a-z-]+\b' <<<"$names"); do ln -s "$(command -v "$tool")" "$bin"; done
    # Cargo's own data is an input.
    for variable in HOME CARGO_HOME $(grep -oE '\b[A-Z_]+\b' <<<"$names"); do
        [ -z "${!variable:-}" ] || kept+=("$variable=${!variable}")
    done
    cargo fetch --locked
    env -i PATH="$bin" RUSTFMT=/nonexistent "${kept[@]}" CARGO_TARGET_DIR="$builds/$folder" "$bin/cargo" "$@"
}

# With the oldest release that each dependency's requirement allows.
build_with_floors() {
    say "build with the oldest dependencies that are allowed"
    local copy=$builds/floors
    rm -rf "$copy"
    mkdir "$copy"
    # In a copy, because the lock file differs.
    tar --exclude=./target --exclude=./.git --exclude=./Cargo.lock -cf - . | tar -xf - -C "$copy"
    (cd "$copy" && RUSTC_BOOTSTRAP=1 cargo -Zdirect-minimal-versions generate-lockfile)
    # Only the published packages: the others are always built with this lock file.
    (cd "$copy" && CARGO_TARGET_DIR=$builds/floors-target \
        cargo check --locked "${CRATES[@]/#/--package=}" --all-features --all-targets)
}

# In a project whose lock file has prettyplease 0.2, which needs syn 2, and syn 3 for others.
build_beside_others() {
    say "build in a project with tonic-build and serde"
    local project=$builds/beside
    rm -rf "$project"
    mkdir -p "$project/src"
    echo 'fn main() {}' >"$project/src/main.rs"
    cat >"$project/Cargo.toml" <<'END'
[package]
name = "beside"
edition = "2024"
[workspace]
[build-dependencies]
tonic-build = "0.14"
[dependencies]
serde = { version = "1", features = ["derive"] }
END
    # Locked first, and only then joined by this crate, as in an existing project.
    (cd "$project" && cargo generate-lockfile)
    echo "netfilter-conntrack = { path = \"$PWD\" }" >>"$project/Cargo.toml"
    (cd "$project" && CARGO_TARGET_DIR=$builds/beside-target cargo check)
}

# Its packages are not part of the workspace.
build_live_table() {
    say "build and test examples/top"
    local arguments=(--locked --manifest-path examples/top/Cargo.toml --target-dir "$builds/top")
    cargo fmt --check --manifest-path examples/top/Cargo.toml
    cargo clippy "${arguments[@]}" --all-targets -- -D warnings
    cargo test "${arguments[@]}"
}
