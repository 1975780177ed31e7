//! The one place that knows devices: which there are, which one is meant, and how many threads the CPU gets.
//!
//! Call [`resolve`] before any other work of libtorch's. libtorch remembers its first answer about CUDA, so
//! the CUDA half must be loaded before that; `device/cuda.rs` says when it is loaded at all.

mod cuda;
pub mod memory;
pub mod speed;
mod upload;

pub use cuda::libtorch_folder;
pub(crate) use upload::{column, read_back};
pub use upload::{fetch, scale_rows, upload, upload_integers, upload_numbers};

use crate::error::{Error, Result};
pub use lipscope_core::device_choice::DeviceChoice;
use tch::{Device, Kind};

/// libtorch's version: torch-sys refuses to build against another.
pub const LIBTORCH_VERSION: &str = "2.13.0";

/// The device that is meant on this machine.
///
/// # Errors
/// A device that was asked for by name and cannot be used, with the reason and what to do. `auto` and `cpu` always
/// resolve.
pub fn resolve(choice: DeviceChoice) -> Result<Device> {
    match choice {
        DeviceChoice::Cpu => Ok(Device::Cpu),
        DeviceChoice::Auto => Ok(if cuda::device_count().is_ok() { Device::Cuda(0) } else { Device::Cpu }),
        DeviceChoice::Cuda(index) => cuda_device(index, cuda::device_count()),
        DeviceChoice::Mps if tch::utils::has_mps() => Ok(Device::Mps),
        DeviceChoice::Mps => Err(Error::argument(
            "--device",
            choice,
            "this libtorch finds no Metal device; MPS needs macOS on Apple silicon",
            "Use --device auto.",
        )),
    }
}

/// The CUDA device of this index, given what the machine was found to have.
fn cuda_device(index: usize, found: std::result::Result<usize, cuda::Absent>) -> Result<Device> {
    let refuse = |because: String, next: &str| {
        Err(Error::argument("--device", DeviceChoice::Cuda(index), because, format!("{next}, or use --device cpu.")))
    };
    match found {
        Ok(count) if index < count => Ok(Device::Cuda(index)),
        Ok(1) => refuse("there is one CUDA device, cuda:0".into(), "Use --device cuda"),
        Ok(count) => refuse(
            format!("there are {count} CUDA devices, cuda:0 to cuda:{}", count - 1),
            "Use one of those (CUDA_VISIBLE_DEVICES may hide others)",
        ),
        Err(absent) => refuse(absent.to_string(), absent.next()),
    }
}

/// Every device that can be used here, the CPU first.
pub fn available() -> Vec<Device> {
    let cuda = 0..cuda::device_count().unwrap_or(0);
    let mps = tch::utils::has_mps().then_some(Device::Mps);
    std::iter::once(Device::Cpu).chain(cuda.map(Device::Cuda)).chain(mps).collect()
}

/// Why there is no CUDA device, in one sentence; `None` where there is one.
pub fn why_no_cuda() -> Option<String> {
    cuda::device_count().err().map(|absent| format!("{absent}. {}.", absent.next()))
}

/// A device's name as `--device` takes it: `cpu`, `cuda:0`, `mps`.
pub fn name(device: Device) -> String {
    match device {
        Device::Cpu => "cpu".into(),
        Device::Cuda(index) => DeviceChoice::Cuda(index).to_string(),
        Device::Mps => "mps".into(),
        Device::Vulkan => "vulkan".into(),
    }
}

/// What a device is: the model of the processor or of the GPU, else what kind of thing it is.
pub fn hardware(device: Device) -> String {
    let found = match device {
        Device::Cpu => processor(),
        Device::Cuda(_) => cuda::model(),
        _ => None,
    };
    found.unwrap_or_else(|| format!("{} {}", std::env::consts::ARCH, name(device)))
}

/// The model of the CPU, where the system tells it in a file.
fn processor() -> Option<String> {
    let text = std::fs::read_to_string("/proc/cpuinfo").ok()?;
    let line = text.lines().find(|line| line.starts_with("model name"))?;
    Some(line.split_once(':')?.1.trim().to_string())
}

/// The name of this machine.
pub fn host_name() -> String {
    let mut bytes = [0u8; 256];
    // SAFETY: the system writes at most as many bytes as the buffer has, and the last stays 0.
    let done = unsafe { libc::gethostname(bytes.as_mut_ptr().cast(), bytes.len() - 1) };
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(0);
    if done == 0 { String::from_utf8_lossy(&bytes[..end]).into_owned() } else { "unknown".into() }
}

/// A dtype's name as `--dtype` takes it: `f64`, `f32`, `bf16`.
pub fn dtype_name(kind: Kind) -> &'static str {
    match kind {
        Kind::Double => "f64",
        Kind::BFloat16 => "bf16",
        Kind::Half => "f16",
        _ => "f32",
    }
}

/// Keeps memory that a step frees for the next one, instead of handing it back to the system and having every page
/// cleared again: that is a tenth of the time of small networks and more. To be called before other threads start.
pub fn keep_freed_memory() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    {
        const MEBIBYTE: i32 = 1 << 20;
        // SAFETY: the calls set parameters of the allocator. Where one is refused, its default stays.
        unsafe {
            // The largest threshold that glibc takes; larger blocks are mapped one by one.
            libc::mallopt(libc::M_MMAP_THRESHOLD, 32 * MEBIBYTE);
            libc::mallopt(libc::M_TRIM_THRESHOLD, i32::MAX);
            libc::mallopt(libc::M_TOP_PAD, 64 * MEBIBYTE);
        }
    }
}

/// Gives libtorch this many CPU threads for one operation, and as many to what draws and decodes samples; without a number
/// those that are this process's share of the machine. Applies to work that starts afterwards.
///
/// # Errors
/// Zero threads, or more than libtorch counts.
pub fn set_threads(threads: Option<usize>) -> Result<()> {
    let threads = match (threads, std::env::var_os("OMP_NUM_THREADS")) {
        (Some(threads), _) => threads,
        // libtorch has read it.
        (None, Some(_)) => tch::get_num_threads().max(1) as usize,
        (None, None) => share(tch::get_num_threads().max(1) as usize, allocated()),
    };
    match i32::try_from(threads) {
        Ok(count) if count > 0 => {
            tch::set_num_threads(count);
            // A pool that is there already stays as it is.
            let _ = rayon::ThreadPoolBuilder::new().num_threads(threads).build_global();
            Ok(())
        }
        _ => Err(Error::argument(
            "--threads",
            threads,
            "it must be at least 1 and fit in 31 bits",
            format!("Leave it out to use all {} cores of this machine.", tch::get_num_threads()),
        )),
    }
}

/// CPUs that a scheduler gave this process; where no limit is enforced, it is told so only.
fn allocated() -> Option<usize> {
    // The second is told to every job, the first to those that ask for CPUs by the task.
    let said = ["SLURM_CPUS_PER_TASK", "SLURM_CPUS_ON_NODE"].into_iter().find_map(|name| std::env::var(name).ok());
    said?.trim().parse().ok().filter(|cpus| *cpus > 0)
}

/// No more threads than libtorch would take, than the CPUs that this process may run on (by its affinity and its control
/// group), and than a scheduler gave it.
fn share(of_libtorch: usize, allocated: Option<usize>) -> usize {
    let usable = std::thread::available_parallelism().map_or(of_libtorch, usize::from);
    of_libtorch.min(usable).min(allocated.unwrap_or(usize::MAX)).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use cuda::Absent;

    #[test]
    fn a_scheduler_lowers_the_number_of_threads_and_never_raises_it() {
        let alone = share(1024, None);
        assert!(alone >= 1 && alone == share(1024, Some(1024)));
        assert_eq!((share(1024, Some(1)), share(1, None), share(1, Some(64))), (1, 1, 1));
    }

    #[test]
    fn an_index_must_be_one_of_the_devices() {
        assert_eq!(cuda_device(1, Ok(2)).expect("two devices"), Device::Cuda(1));
        let error = cuda_device(1, Ok(1)).expect_err("one device").to_string();
        assert!(error.contains("`cuda:1`") && error.contains("one CUDA device"), "{error}");
        let error = cuda_device(4, Ok(4)).expect_err("four devices").to_string();
        assert!(error.contains("4 CUDA devices, cuda:0 to cuda:3"), "{error}");
    }

    #[test]
    fn each_reason_for_no_cuda_says_what_to_do() {
        let next_step = |absent: Absent| cuda_device(0, Err(absent)).expect_err("no CUDA").to_string();
        assert!(next_step(Absent::CpuOnlyLibtorch).contains("./x --cuda build"));
        assert!(next_step(Absent::NoGpu).contains("NVIDIA driver"));
        assert!(next_step(Absent::NoDriver).contains("nvidia-smi"));
        let error = next_step(Absent::NotLoaded("libcudnn.so.9: not found".into()));
        assert!(error.contains("libcudnn.so.9") && error.contains("./x --cuda build"), "{error}");
    }

    #[test]
    fn the_cpu_is_always_there() -> Result<()> {
        assert_eq!(resolve(DeviceChoice::Cpu)?, Device::Cpu);
        assert_eq!(available().first(), Some(&Device::Cpu));
        assert!(available().contains(&resolve(DeviceChoice::Auto)?));
        assert_eq!(name(Device::Cuda(3)), "cuda:3");
        Ok(())
    }

    #[test]
    fn cuda_is_there_or_says_why_not() {
        match resolve(DeviceChoice::Cuda(0)) {
            Ok(device) => assert!(available().contains(&device)),
            Err(error) => {
                assert!(error.to_string().starts_with("--device is `cuda:0`, but "), "{error}");
                assert_eq!(error.exit_code(), 2);
                assert!(why_no_cuda().is_some());
            }
        }
    }

    #[test]
    fn threads_are_at_least_one() -> Result<()> {
        let before = tch::get_num_threads();
        assert!(set_threads(Some(0)).expect_err("no threads").to_string().contains("at least 1"));
        assert!(set_threads(Some(usize::MAX)).is_err());
        set_threads(Some(1))?;
        assert_eq!(tch::get_num_threads(), 1);
        tch::set_num_threads(before);
        Ok(())
    }
}
