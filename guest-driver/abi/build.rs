//! The place of these sources, for a build script that compiles them for guests: `DEP_BARSCOPE_GUEST_ABI_ROOT`.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let root = std::env::var("CARGO_MANIFEST_DIR").unwrap_or_default();
    println!("cargo::metadata=root={root}");
}
