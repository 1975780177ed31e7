//! Finds the CUDA devices, and loads libtorch's CUDA half only where there may be one.
//!
//! Nothing in a tch program names a symbol of `libtorch_cuda.so`, so the linker drops it, and libtorch then sees no GPU
//! on any machine. Linking it always would load some gigabytes at every start. So it is opened here, before libtorch's
//! first answer about CUDA, and only when a CUDA device is wanted and the machine has an NVIDIA driver's device file.

use std::ffi::CString;
use std::fmt;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// Why there is no CUDA device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Absent {
    /// No device file of an NVIDIA driver.
    NoGpu,
    /// libtorch came without its CUDA half.
    CpuOnlyLibtorch,
    /// The CUDA half is there but could not be loaded; the loader's message.
    NotLoaded(String),
    /// Everything is loaded, and CUDA still counts no device.
    NoDriver,
}

impl fmt::Display for Absent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Absent::NoGpu => write!(f, "this machine shows no NVIDIA GPU (there is no /dev/nvidiactl)"),
            Absent::CpuOnlyLibtorch => write!(f, "lipscope runs on a libtorch for CPUs only"),
            Absent::NotLoaded(message) => write!(f, "libtorch's CUDA libraries do not load ({message})"),
            Absent::NoDriver => write!(f, "CUDA counts no usable device, although an NVIDIA driver is there"),
        }
    }
}

impl Absent {
    /// What to do about it; the caller adds the alternative.
    pub(super) fn next(&self) -> &'static str {
        match self {
            Absent::NoGpu => "Install the NVIDIA driver if there is a GPU, or give the container access to it",
            Absent::CpuOnlyLibtorch => {
                "Run `./x --cuda build` to get libtorch with CUDA and build again; under Python, install a torch with CUDA"
            }
            Absent::NotLoaded(_) => {
                "Run `./x --cuda build` to get libtorch with all of its CUDA libraries; under Python, install torch again \
                 with the nvidia packages that it names"
            }
            Absent::NoDriver => {
                "See whether `nvidia-smi` lists the GPU, whether its driver is recent enough for CUDA 13, and what \
                 CUDA_VISIBLE_DEVICES says"
            }
        }
    }
}

/// How many CUDA devices there are, at least 1; found out once.
pub(super) fn device_count() -> Result<usize, Absent> {
    static FOUND: OnceLock<Result<usize, Absent>> = OnceLock::new();
    let find = || {
        let found = count(gpu_present(), &libtorch_folder(), open, tch::Cuda::device_count);
        // Differences of outputs are what is measured. Training takes it back.
        if found.is_ok() && crate::libtorch::full_float32(true).is_err() {
            return Err(Absent::NotLoaded("it refuses settings of its convolutions".into()));
        }
        found
    };
    FOUND.get_or_init(find).clone()
}

/// The steps in their order: nothing is loaded without a GPU, and CUDA is not asked before its libraries are loaded.
fn count(
    gpu_present: bool,
    folder: &Path,
    open: impl FnOnce(&Path) -> Result<(), String>,
    ask: impl FnOnce() -> i64,
) -> Result<usize, Absent> {
    if !gpu_present {
        return Err(Absent::NoGpu);
    }
    let library = folder.join("libtorch_cuda.so");
    if !library.exists() {
        return Err(Absent::CpuOnlyLibtorch);
    }
    open(&library).map_err(Absent::NotLoaded)?;
    usize::try_from(ask()).ok().filter(|&devices| devices > 0).ok_or(Absent::NoDriver)
}

/// Device files of NVIDIA's drivers: for cards, under WSL 2, and on Jetson boards.
fn gpu_present() -> bool {
    ["/dev/nvidiactl", "/dev/dxg", "/dev/nvmap"].iter().any(|file| Path::new(file).exists())
}

/// Where libtorch is. What is loaded counts, and not what was linked with: LD_LIBRARY_PATH may have chosen another, a wheel runs
/// on the installed torch's, and the two halves must come from one build.
pub fn libtorch_folder() -> PathBuf {
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap_or_default();
    loaded_from(&maps).unwrap_or_else(|| PathBuf::from(env!("LIPSCOPE_LIBTORCH_LIB")))
}

/// The folder of libtorch_cpu.so in the text of /proc/self/maps, where the path is the rest of a line from its first `/`.
fn loaded_from(maps: &str) -> Option<PathBuf> {
    let path = |line: &str| line.find('/').map(|start| PathBuf::from(&line[start..]));
    let library = maps.lines().filter_map(path).find(|path| path.ends_with("libtorch_cpu.so"))?;
    library.parent().map(Path::to_path_buf)
}

/// Opens a shared library for the life of the process.
fn open(library: &Path) -> Result<(), String> {
    let path = CString::new(library.as_os_str().as_bytes()).map_err(|error| error.to_string())?;
    // SAFETY: `path` is a C string that outlives the call. The library's initialisers are libtorch's own registration
    // of its CUDA half, which expects to be run by the dynamic loader, as here.
    let handle = unsafe { libc::dlopen(path.as_ptr(), libc::RTLD_NOW | libc::RTLD_GLOBAL) };
    if !handle.is_null() {
        return Ok(());
    }
    // SAFETY: dlerror returns null or a C string that is valid until this thread's next call of the loader.
    let message = unsafe {
        let message = libc::dlerror();
        (!message.is_null()).then(|| std::ffi::CStr::from_ptr(message).to_string_lossy().into_owned())
    };
    Err(message.unwrap_or_else(|| "the loader does not say why".into()))
}

/// The models of the GPUs that the driver has, as it tells them in files; which of them a number means depends on what is
/// visible, so unlike ones are named together.
pub(super) fn model() -> Option<String> {
    let folders = std::fs::read_dir("/proc/driver/nvidia/gpus").ok()?.flatten();
    let model = |folder: std::fs::DirEntry| {
        let text = std::fs::read_to_string(folder.path().join("information")).ok()?;
        Some(text.lines().find_map(|line| line.strip_prefix("Model:"))?.trim().to_string())
    };
    let mut models: Vec<String> = folders.filter_map(model).collect();
    models.sort();
    models.dedup();
    Some(models.join(" or ")).filter(|models| !models.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn not_to_be_opened(_: &Path) -> Result<(), String> {
        panic!("nothing of CUDA may be loaded here")
    }

    fn not_to_be_asked() -> i64 {
        panic!("CUDA must not be asked before its libraries are loaded")
    }

    fn folder_with_cuda() -> tempfile::TempDir {
        let folder = tempfile::tempdir().expect("a temporary folder");
        std::fs::write(folder.path().join("libtorch_cuda.so"), "not a library").expect("a file");
        folder
    }

    #[test]
    fn without_a_gpu_nothing_is_loaded() {
        let folder = folder_with_cuda();
        assert_eq!(count(false, folder.path(), not_to_be_opened, not_to_be_asked), Err(Absent::NoGpu));
    }

    #[test]
    fn a_cpu_libtorch_is_told_from_a_missing_gpu() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        assert_eq!(count(true, folder.path(), not_to_be_opened, not_to_be_asked), Err(Absent::CpuOnlyLibtorch));
    }

    #[test]
    fn a_library_that_does_not_load_gives_the_loaders_words() {
        let folder = folder_with_cuda();
        match count(true, folder.path(), open, not_to_be_asked) {
            Err(Absent::NotLoaded(message)) => assert!(message.contains("libtorch_cuda.so"), "{message}"),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn devices_are_counted_after_loading() {
        let folder = folder_with_cuda();
        assert_eq!(count(true, folder.path(), |_| Ok(()), || 2), Ok(2));
        assert_eq!(count(true, folder.path(), |_| Ok(()), || 0), Err(Absent::NoDriver));
        assert_eq!(count(true, folder.path(), |_| Ok(()), || -1), Err(Absent::NoDriver));
    }

    #[test]
    fn the_loaded_libtorch_is_found_among_mappings() {
        let maps = "7f00-7f01 r--p 00000000 fe:00 1    /usr/lib/libc.so.6\n\
                    7f02-7f03 r-xp 00000000 fe:00 2    /home/a b/libtorch/lib/libtorch_cpu.so\n\
                    7f04-7f05 rw-p 00000000 00:00 0    [heap]\n";
        assert_eq!(loaded_from(maps), Some(PathBuf::from("/home/a b/libtorch/lib")));
        assert_eq!(loaded_from("7f00-7f01 r--p 00000000 fe:00 1    /usr/lib/libc.so.6\n"), None);
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn this_process_runs_on_a_libtorch_that_exists() {
        assert!(libtorch_folder().join("libtorch_cpu.so").exists(), "{}", libtorch_folder().display());
    }
}
