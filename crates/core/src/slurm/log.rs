//! What a task said last.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

/// As much of a log's end as is looked at.
const END: u64 = 16 << 10;

/// The last error of a log, else its last line; `None` where there is no log, or nothing in it.
pub fn telling_line(path: &Path) -> Option<String> {
    let mut file = File::open(path).ok()?;
    let length = file.metadata().ok()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(END))).ok()?;
    let mut bytes = Vec::new();
    file.take(END).read_to_end(&mut bytes).ok()?;
    let text = String::from_utf8_lossy(&bytes);
    let lines = || text.lines().map(str::trim).filter(|line| !line.is_empty());
    let line = lines().rfind(|line| line.contains("error:")).or_else(|| lines().next_back())?;
    let line = line.strip_prefix("error:").unwrap_or(line).trim();
    Some(crate::error::quoted(line))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_error_tells_most() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("7_1.log");
        assert_eq!(telling_line(&path), None);
        for (text, says) in [
            ("", None),
            ("one\n\n", Some("one")),
            ("error: no room. Make some.\nwarning: old\n", Some("no room. Make some.")),
            (
                "x\nslurmstepd: error: *** JOB 7 ON n1 CANCELLED AT T ***\n",
                Some("slurmstepd: error: *** JOB 7 ON n1 CANCELLED AT T ***"),
            ),
        ] {
            std::fs::write(&path, text).unwrap();
            assert_eq!(telling_line(&path).as_deref(), says);
        }
        std::fs::write(&path, "x".repeat(40_000) + "\nerror: last\n").unwrap();
        assert_eq!(telling_line(&path).as_deref(), Some("last"));
    }
}
