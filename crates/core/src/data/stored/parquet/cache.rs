//! Pages that were unpacked lately.

use super::pages::Values;
use std::collections::HashMap;
use std::sync::Arc;

/// Bytes of pages that are kept.
const MOST: usize = 256 << 20;

/// Pages by row group and place; those that were not used for longest go first.
#[derive(Default)]
pub(super) struct Cache {
    pages: HashMap<(usize, u64), (u64, Arc<Values>)>,
    bytes: usize,
    clock: u64,
}

impl Cache {
    pub fn get(&mut self, key: (usize, u64)) -> Option<Arc<Values>> {
        self.clock += 1;
        let (used, page) = self.pages.get_mut(&key)?;
        *used = self.clock;
        Some(Arc::clone(page))
    }

    pub fn put(&mut self, key: (usize, u64), page: Arc<Values>) {
        self.clock += 1;
        self.bytes += page.bytes();
        if let Some((_, before)) = self.pages.insert(key, (self.clock, page)) {
            self.bytes -= before.bytes();
        }
        while self.bytes > MOST && self.pages.len() > 1 {
            let oldest = self.pages.iter().min_by_key(|(_, (used, _))| *used).map(|(key, _)| *key);
            let gone = oldest.and_then(|key| self.pages.remove(&key));
            self.bytes -= gone.map_or(0, |(_, page)| page.bytes());
        }
    }
}
