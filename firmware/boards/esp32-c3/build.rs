//! Hands the linker the memory map, which the HAL crate brings.

fn main() {
    println!("cargo:rustc-link-arg-bins=-Tlinkall.x");
}
