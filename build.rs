//! Lets the program and its tests find libtorch where it was linked, with no LD_LIBRARY_PATH.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    // torch-sys says where libtorch's libraries are (`links = "tch"`); only its direct dependents are told.
    println!("cargo:rerun-if-env-changed=DEP_TCH_LIBTORCH_LIB");
    let folder = std::env::var("DEP_TCH_LIBTORCH_LIB").unwrap_or_default();
    if !folder.is_empty() {
        // Separate arguments, so that a comma in the path does not split it.
        for argument in ["-Xlinker", "-rpath", "-Xlinker", &folder] {
            println!("cargo:rustc-link-arg={argument}");
        }
    }
    println!("cargo:rustc-env=LIPSCOPE_LIBTORCH_LIB={folder}");
}
