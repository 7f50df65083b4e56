# Dependencies of this project, and its public API. Read by ./dev.
# shellcheck shell=bash

# Tools that cargo builds, in these releases: others may give other results.
readonly CARGO_TOOLS=(cargo-deny@0.20.2 cargo-public-api@0.52.0 cargo-semver-checks@0.51.0)

# Documents the bindings of docs.rs, which are independent of the installed library.
readonly DOCS_BINDINGS=(DOCS_RS=1 PKG_CONFIG=/nonexistent)

# The folder with the public API of each package.
readonly API=docs/api

cmd_supply() {
    need_to_build cargo-deny
    say "licences, sources and duplicates"
    cargo deny check licenses bans sources
    check_advisories
    check_semver
}

# The release of the tool $1 that is used.
tool_release() {
    local tool
    for tool in "${CARGO_TOOLS[@]}"; do [ "${tool%@*}" != "$1" ] || echo "${tool#*@}"; done
}

# Returns whether the tool $1 is installed, in that release.
have_cargo_tool() { [ "$(cargo "${1#cargo-}" --version 2>/dev/null | sed 's/.* //')" = "$(tool_release "$1")" ]; }

install_cargo_tools() {
    local tool
    for tool in "$@"; do
        say "building $tool $(tool_release "$tool") with cargo, in $CARGO_BIN: this takes minutes"
        # Not optimized, which takes a third of the time: none of the tools has much to do. The manifest of
        # cargo-semver-checks has its dependencies optimized in debug builds too.
        env -u CARGO_TARGET_DIR cargo install --locked --force --debug \
            --config 'profile.dev.package."*".opt-level=0' "$tool@$(tool_release "$tool")" ||
            die "$tool cannot be built: see above. It may need a newer Rust than $(rust_version)."
    done
}

# The database of advisories is a git repository, which some machines cannot reach.
check_advisories() {
    say "advisories"
    if cargo deny fetch db; then cargo deny check --disable-fetch advisories
    else say "SKIPPED: advisories: their database cannot be fetched, see above"
    fi
}

# Checks whether a release would need another version number, compared with the newest release.
check_semver() {
    local package answer
    for package in $(packages); do
        say "version of $package"
        if answer=$(cargo info --registry crates-io "$package" 2>&1); then
            need cargo-semver-checks
            env "${DOCS_BINDINGS[@]}" cargo semver-checks --package "$package" --all-features
        elif [[ $answer = *"could not find"* ]]; then
            say "SKIPPED: version of $package: it has no release to compare with yet"
        else
            printf '%s\n' "$answer" >&2
            say "SKIPPED: version of $package: the registry cannot be asked, see above"
        fi
    done
}

# The released packages.
packages() { sed -n 's/^name = "\(.*\)"/\1/p' sys/Cargo.toml Cargo.toml | grep -x '.*netfilter-conntrack.*'; }

# Compares the public API with the stored one, or stores it: --write.
cmd_api() {
    case ${1:-} in
        '') need_to_build; check_api ;;
        --write) need_to_build cargo-public-api; write_api ;;
        *) die "no such option of api: $1" ;;
    esac
}

write_api() {
    local package
    mkdir -p "$API"
    for package in $(packages); do
        say "public API of $package"
        { api_head; list_api "$package"; } >"$API/$package.txt.new"
        mv "$API/$package.txt.new" "$API/$package.txt"
    done
}

# The versions that the list depends on besides the code.
api_head() { echo "# Rust $(rust_version), $(host_target), cargo-public-api $(tool_release cargo-public-api)"; }

# Without the parts that every type has. By default, the tool documents with the nightly Rust of the day.
list_api() {
    env "${DOCS_BINDINGS[@]}" RUSTC_BOOTSTRAP=1 CARGO_TARGET_DIR="$target/api" \
        cargo rustdoc --quiet --package "$1" --lib --all-features -- \
        -Zunstable-options --output-format json --cap-lints allow
    cargo public-api --rustdoc-json "$target/api/doc/${1//-/_}.json" \
        --omit blanket-impls,auto-trait-impls --color never
}

# The form of the list differs between versions of Rust, so it is made with the one named in its head.
check_api() {
    local package kept
    kept=$(head -qn 1 "$API"/*.txt | sort -u)
    if ! use_rust_of "$kept"; then
        say "SKIPPED: public API: it was listed with \"${kept#\# }\", and this is \"$(api_head | cut -c3-)\""
        return
    fi
    need cargo-public-api
    for package in $(packages); do
        say "public API of $package"
        { api_head; list_api "$package"; } | diff -u "$API/$package.txt" - || api_differs
    done
}

api_differs() {
    die "the public API is another than $API lists: see above. If that is intended, ./dev api --write lists it
anew; commit that with the change, and name it in CHANGELOG.md."
}

# Uses the Rust of such a head, if rustup also has it. It applies to this shell, so it must be the last step.
use_rust_of() {
    [ "$(api_head)" != "$1" ] || return 0
    local version
    version=$(sed 's/^# Rust \([^,]*\),.*/\1/' <<<"$1")
    RUSTUP_TOOLCHAIN=$version rustc --version >/dev/null 2>&1 || return 1
    [ "$(RUSTUP_TOOLCHAIN=$version api_head)" = "$1" ] || return 1
    export RUSTUP_TOOLCHAIN=$version
}
