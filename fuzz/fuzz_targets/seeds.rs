//! Writes the first inputs of all targets below a folder. It is not a target itself.

fn main() {
    let folder = std::env::args_os().nth(1).expect("a folder");
    netfilter_conntrack::fuzz::seeds(folder.as_ref()).expect("seeds");
}
