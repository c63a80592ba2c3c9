//! Tells the crate which of the two kinds of small core it is built for.

fn main() {
    println!("cargo:rustc-check-cfg=cfg(armv6m)");
    if std::env::var("TARGET").is_ok_and(|target| target.starts_with("thumbv6m")) {
        println!("cargo:rustc-cfg=armv6m");
    }
    println!("cargo:rerun-if-changed=build.rs");
}
