//! How much a file may unpack to: a small file must not fill the memory.

/// Bytes that may still be unpacked or copied.
#[derive(Debug)]
pub struct Budget {
    left: u64,
    total: u64,
}

/// Always granted, however small the file.
const FLOOR: u64 = 64 << 20;
/// Bytes per byte of the file. Weights and images compress by less than 10; deflate can reach 1,032 for zeros only.
const RATIO: u64 = 200;

impl Budget {
    /// The budget of a file of `bytes` bytes.
    pub fn for_file(bytes: u64) -> Self {
        let total = bytes.saturating_mul(RATIO).saturating_add(FLOOR);
        Self { left: total, total }
    }

    /// Takes `bytes` out of the budget, or says that the file unpacks to too much.
    pub fn spend(&mut self, bytes: u64) -> Result<(), String> {
        match self.left.checked_sub(bytes) {
            Some(left) => {
                self.left = left;
                Ok(())
            }
            None => Err(format!(
                "it unpacks to more than {} MiB, over {RATIO} times its own size, like an archive made to fill the memory",
                self.total >> 20
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_runs_out() {
        let mut budget = Budget::for_file(1);
        assert!(budget.spend(FLOOR).is_ok());
        assert!(budget.spend(RATIO).is_ok());
        assert!(budget.spend(1).is_err());
        assert!(Budget::for_file(u64::MAX).spend(u64::MAX).is_ok());
    }
}
