//! Lets the program and its tests find libtorch where it was linked, with no LD_LIBRARY_PATH, and compiles the few calls
//! of libtorch's C++ interface that tch does not offer.

use std::path::{Path, PathBuf};
use std::process::Command;

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
    for file in ["extra.cpp", "group.cpp", "stand_in.cpp", "all.cpp", "guarded.h", "gloo.h"] {
        println!("cargo:rerun-if-changed=src/libtorch/{file}");
    }
    let include = folder.with_file_name("include");
    let api = include.join("torch/csrc/api/include");
    // Warnings in libtorch's headers are not ours to mend.
    let mut build = cc::Build::new();
    if !has_gloo(folder) {
        build.define("LIPSCOPE_WITHOUT_GLOO", None);
    }
    if compiles_nccl(folder) {
        build.define("LIPSCOPE_WITH_NCCL", None);
    }
    build
        .cpp(true)
        .std("c++17")
        .warnings(false)
        .include(&include)
        .include(&api)
        .include(headers_of_gloo())
        .include("src/libtorch")
        .file("src/libtorch/all.cpp")
        .compile("lipscope_extra");
}

/// Compiles c10d's group over NCCL into a library of its own, where libtorch has its CUDA half and CUDA's headers are found: those of
/// the Python packages beside torch, or of an installed CUDA. Says why not, and that gradients of GPUs then go over Gloo.
fn compiles_nccl(folder: &Path) -> bool {
    const SOURCE: &str = "src/libtorch/nccl.cpp";
    println!("cargo:rerun-if-changed={SOURCE}");
    println!("cargo:rerun-if-env-changed=CUDA_HOME");
    if !folder.join("libtorch_cuda.so").exists() {
        return false;
    }
    let packages = folder.ancestors().nth(2).map(|site| site.join("nvidia"));
    let packages = packages.into_iter().flat_map(|nvidia| ["nccl", "cu13"].map(|name| nvidia.join(name)));
    let installed = std::env::var_os("CUDA_HOME").map_or_else(|| "/usr/local/cuda".into(), PathBuf::from);
    let places = packages.chain([installed, "/usr".into()]).map(|place| place.join("include"));
    let includes: Vec<PathBuf> = places.filter(|place| place.is_dir()).collect();
    let found = |header: &str| includes.iter().any(|place| place.join(header).is_file());
    if let Some(missing) = ["nccl.h", "cuda_runtime_api.h", "cublas_v2.h"].into_iter().find(|header| !found(header)) {
        println!(
            "cargo:warning=built without NCCL, as {missing} is not found (set CUDA_HOME): several processes sum gradients over Gloo"
        );
        return false;
    }
    let include = folder.with_file_name("include");
    let mut build = cc::Build::new();
    build.cpp(true).std("c++20").warnings(false).include(include.join("torch/csrc/api/include")).include(include);
    let compiled = build.includes(&includes).include("src/libtorch").file(SOURCE).try_compile("lipscope_nccl");
    if let Err(error) = &compiled {
        println!("cargo:warning=built without NCCL ({error}): several processes sum gradients over Gloo");
    }
    compiled.is_ok()
}

/// Whether libtorch has c10d's group over Gloo: one that was built from its sources may lack it. Where that cannot be found
/// out, the linker will say it.
fn has_gloo(folder: &Path) -> bool {
    const SYMBOL: &str = "_ZN4c10d16ProcessGroupGloo7Options14create_default";
    let library =
        ["libtorch_cpu.so", "libtorch_cpu.dylib"].map(|name| folder.join(name)).into_iter().find(|path| path.exists());
    let found = library.and_then(|library| Command::new("grep").arg("-q").arg(SYMBOL).arg(library).status().ok());
    found.is_none_or(|status| status.code() != Some(1))
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
