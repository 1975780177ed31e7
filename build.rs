//! Lets the program and its tests find libtorch where it was linked, with no LD_LIBRARY_PATH, and compiles the few calls
//! of libtorch's C++ interface that tch does not offer.

use std::path::{Path, PathBuf};

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
    compile_extra(Path::new(&folder));
}

/// `folder` is the lib folder of libtorch; its headers lie beside it, in the download as in a Python package.
fn compile_extra(folder: &Path) {
    let sources = ["src/libtorch/extra.cpp", "src/libtorch/group.cpp", "src/libtorch/stand_in.cpp"];
    let headers = ["src/libtorch/guarded.h", "src/libtorch/gloo.h"];
    sources.iter().chain(&headers).for_each(|file| println!("cargo:rerun-if-changed={file}"));
    let include = folder.with_file_name("include");
    let api = include.join("torch/csrc/api/include");
    // Warnings in libtorch's headers are not ours to mend.
    cc::Build::new()
        .cpp(true)
        .std("c++17")
        .warnings(false)
        .include(&include)
        .include(&api)
        .include(headers_of_gloo())
        .include("src/libtorch")
        .files(sources)
        .compile("lipscope_extra");
}

/// c10d's headers include these of Gloo, which no wheel of PyTorch has; `gloo.h` declares what they are included for.
fn headers_of_gloo() -> PathBuf {
    let folder = PathBuf::from(std::env::var_os("OUT_DIR").unwrap_or_default());
    for name in ["algorithm", "common/error", "context", "rendezvous/store", "transport/device"] {
        let header = folder.join(format!("gloo/{name}.h"));
        let written = header.parent().map_or(Ok(()), std::fs::create_dir_all);
        if let Err(error) = written.and_then(|()| std::fs::write(&header, "#include \"gloo.h\"\n")) {
            println!("cargo:warning={}: {error}", header.display());
        }
    }
    folder
}
