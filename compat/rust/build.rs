//! Tells the program which version of azure_identity it is built with.

fn main() {
    println!("cargo::rerun-if-changed=Cargo.lock");
    let lock = std::fs::read_to_string("Cargo.lock").expect("Cargo.lock is there");
    let entry = lock.split("[[package]]").find(|p| p.contains("name = \"azure_identity\""));
    let version = entry
        .and_then(|p| p.lines().find_map(|l| l.strip_prefix("version = ")))
        .expect("Cargo.lock names azure_identity");
    println!("cargo::rustc-env=AZURE_IDENTITY_VERSION={}", version.trim_matches('"'));
}
