//! How much of the machine's memory a piece of work takes, and how much is left.
//!
//! From Linux' /proc; elsewhere nothing is known, and nothing is limited.

/// Bytes of main memory that may be taken: what the machine has free, or less where a control group allows less.
pub fn available() -> Option<u64> {
    let machine = kilobytes(&std::fs::read_to_string("/proc/meminfo").ok()?, "MemAvailable:")?;
    let number = |name: &str| -> Option<u64> {
        std::fs::read_to_string(format!("/sys/fs/cgroup/{name}")).ok()?.trim().parse().ok()
    };
    let group = number("memory.max").zip(number("memory.current")).map(|(most, now)| most.saturating_sub(now));
    Some(group.map_or(machine, |group| group.min(machine)))
}

/// Bytes by which this process grows at most while `work` runs, and what `work` gives.
pub fn growth<T>(work: impl FnOnce() -> T) -> (T, Option<u64>) {
    // 5 sets the recorded peak back to the present size.
    let reset = std::fs::write("/proc/self/clear_refs", "5").is_ok();
    let before = status("self", "VmRSS:").filter(|_| reset);
    let result = work();
    (result, before.and_then(|before| Some(status("self", "VmHWM:")?.saturating_sub(before))))
}

/// Bytes of main memory that another process holds now.
pub fn resident(process: u32) -> Option<u64> {
    status(process, "VmRSS:")
}

/// The most that it has held since its program began.
pub fn peak(process: u32) -> Option<u64> {
    status(process, "VmHWM:")
}

fn status(process: impl std::fmt::Display, key: &str) -> Option<u64> {
    kilobytes(&std::fs::read_to_string(format!("/proc/{process}/status")).ok()?, key)
}

fn kilobytes(text: &str, key: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(key))?;
    line.split_whitespace().next()?.parse::<u64>().ok().map(|number| number * 1024)
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn what_is_allocated_and_freed_again_counts() {
        const SIZE: usize = 64 << 20;
        let (sum, grown) = growth(|| vec![1u8; SIZE].iter().map(|byte| u64::from(*byte)).sum::<u64>());
        assert_eq!(sum, SIZE as u64);
        // Other tests of this process may allocate or free at the same time.
        assert!(grown.is_none_or(|grown| grown > SIZE as u64 / 2), "{grown:?}");
        assert!(available().unwrap() > 1 << 20);
    }

    #[test]
    fn lines_are_read() {
        assert_eq!(kilobytes("MemTotal:  8 kB\nMemAvailable:   2 kB\n", "MemAvailable:"), Some(2048));
        assert_eq!(kilobytes("nothing", "MemAvailable:"), None);
    }
}
