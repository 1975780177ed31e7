//! c10d: a key-value store that several processes reach, and the group in which they sum tensors; `group.cpp` is the
//! other side.

use super::{Handle, Message, TakeCallback, check, handle};
use crate::error::{Error, Result};
use std::ffi::{CString, c_char, c_int, c_void};
use std::time::Duration;
use tch::{Device, Tensor};

mod ffi {
    use super::{Handle, Message, TakeCallback, c_char, c_int, c_void};

    unsafe extern "C" {
        pub fn lipscope_store_open(
            host: *const c_char,
            port: u16,
            serve: bool,
            timeout_ms: i64,
            prefix: *const c_char,
            store: *mut *mut c_void,
        ) -> Message;
        pub fn lipscope_store_close(store: *mut c_void);
        pub fn lipscope_store_set(store: *mut c_void, key: *const c_char, text: *const u8, length: usize) -> Message;
        pub fn lipscope_store_get(
            store: *mut c_void,
            key: *const c_char,
            take: TakeCallback,
            context: *mut c_void,
        ) -> Message;
        pub fn lipscope_store_check(store: *mut c_void, key: *const c_char, there: *mut bool) -> Message;
        pub fn lipscope_store_add(store: *mut c_void, key: *const c_char, delta: i64, value: *mut i64) -> Message;
        pub fn lipscope_group_open(
            store: *mut c_void,
            rank: c_int,
            of: c_int,
            timeout_ms: i64,
            group: *mut *mut c_void,
        ) -> Message;
        pub fn lipscope_has_gloo() -> bool;
        pub fn lipscope_has_nccl() -> bool;
        pub fn lipscope_gpu(index: c_int, take: TakeCallback, context: *mut c_void) -> Message;
        pub fn lipscope_nccl_open(
            store: *mut c_void,
            rank: c_int,
            of: c_int,
            timeout_ms: i64,
            group: *mut *mut c_void,
        ) -> Message;
        pub fn lipscope_group_close(group: *mut c_void);
        pub fn lipscope_group_begin(group: *mut c_void, sum: bool, tensor: Handle, work: *mut *mut c_void) -> Message;
        pub fn lipscope_work_wait(work: *mut c_void, timeout_ms: i64, done: *mut bool) -> Message;
        pub fn lipscope_work_close(work: *mut c_void);
    }
}

fn text(text: &str) -> Result<CString> {
    CString::new(text).map_err(|_| Error::mismatch(format!("`{text}` holds a zero byte"), "Choose another name."))
}

fn milliseconds(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}

/// Takes a text into the vector that `context` is.
extern "C" fn take(context: *mut c_void, bytes: *const c_char, length: usize) {
    // Of an empty value there may be no pointer.
    if length > 0 {
        // SAFETY: `context` is the vector of the calls below, and `bytes` are `length` bytes.
        let (value, bytes) =
            unsafe { (&mut *context.cast::<Vec<u8>>(), std::slice::from_raw_parts(bytes.cast::<u8>(), length)) };
        value.extend_from_slice(bytes);
    }
}

/// A client of c10d's TCPStore, and its server where this process serves it.
pub struct KeyStore(*mut c_void);

// SAFETY: TCPStore guards every operation by a lock of its own.
unsafe impl Send for KeyStore {}
// SAFETY: the same.
unsafe impl Sync for KeyStore {}

impl KeyStore {
    /// Connects with the store at `host`:`port` within `timeout`; all keys begin with `prefix`.
    ///
    /// # Errors
    /// The port is taken, or nothing answers there.
    pub fn open(host: &str, port: u16, serve: bool, timeout: Duration, prefix: &str) -> Result<Self> {
        let (host, prefix, mut store) = (text(host)?, text(prefix)?, std::ptr::null_mut());
        let timeout = milliseconds(timeout);
        // SAFETY: the strings outlive the call, which sets `store` where it returns no message.
        let message =
            unsafe { ffi::lipscope_store_open(host.as_ptr(), port, serve, timeout, prefix.as_ptr(), &raw mut store) };
        check(message, "connecting with the other ranks").map(|()| KeyStore(store))
    }

    /// Sets a key.
    pub fn set(&self, key: &str, value: &str) -> Result<()> {
        let key = text(key)?;
        // SAFETY: the store is open, and key and value outlive the call.
        check(
            unsafe { ffi::lipscope_store_set(self.0, key.as_ptr(), value.as_ptr(), value.len()) },
            "telling other ranks",
        )
    }

    /// The value of a key; `None` where it is not set yet.
    pub fn get(&self, key: &str) -> Result<Option<String>> {
        let (name, mut there, mut value) = (text(key)?, false, Vec::<u8>::new());
        let doing = "asking for what other ranks say";
        // SAFETY: the store is open, and key, flag and vector outlive the calls.
        unsafe {
            check(ffi::lipscope_store_check(self.0, name.as_ptr(), &raw mut there), doing)?;
            if !there {
                return Ok(None);
            }
            check(ffi::lipscope_store_get(self.0, name.as_ptr(), take, (&raw mut value).cast()), doing)?;
        }
        Ok(Some(String::from_utf8_lossy(&value).into_owned()))
    }

    /// Adds 1 to a key that counts from 0, in one step for all ranks; returns the sum.
    pub fn count(&self, key: &str) -> Result<i64> {
        let (key, mut value) = (text(key)?, 0);
        // SAFETY: the store is open, and key and number outlive the call.
        check(
            unsafe { ffi::lipscope_store_add(self.0, key.as_ptr(), 1, &raw mut value) },
            "counting with other ranks",
        )?;
        Ok(value)
    }
}

impl Drop for KeyStore {
    fn drop(&mut self) {
        // SAFETY: it was opened once and is closed once.
        unsafe { ffi::lipscope_store_close(self.0) }
    }
}

/// What a group does with a tensor, in place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Collective {
    /// Sums it over all ranks.
    Sum,
    /// Copies that of rank 0 to all.
    FromFirst,
}

/// Whether the libtorch of this program has Gloo, without which no several processes train.
pub fn has_gloo() -> bool {
    // SAFETY: it returns a constant.
    unsafe { ffi::lipscope_has_gloo() }
}

/// Whether this program was built with NCCL.
pub fn has_nccl() -> bool {
    // SAFETY: it returns a constant.
    unsafe { ffi::lipscope_has_nccl() }
}

/// Where the GPU `cuda:index` of this process is in the machine: its domain, bus and device, by which NCCL tells GPUs apart.
///
/// # Errors
/// The program was built without NCCL, or there is no such GPU.
pub fn gpu(index: usize) -> Result<String> {
    let mut place = Vec::<u8>::new();
    // SAFETY: the vector outlives the call.
    let message = unsafe { ffi::lipscope_gpu(index as c_int, take, (&raw mut place).cast()) };
    check(message, "asking where a GPU is").map(|()| String::from_utf8_lossy(&place).into_owned())
}

/// c10d's group of processes: over Gloo, for tensors in the CPU's memory, or over NCCL, for those of GPUs.
pub struct Group {
    group: *mut c_void,
    on_gpus: bool,
}

// SAFETY: c10d may be called from any thread, by one at a time.
unsafe impl Send for Group {}

impl Group {
    /// Connects with all others of `of` ranks.
    ///
    /// # Errors
    /// A rank cannot be reached within `timeout`, which is also that of every collective.
    pub fn open(store: &KeyStore, rank: usize, of: usize, timeout: Duration) -> Result<Self> {
        let (rank, of) = (rank as c_int, of as c_int);
        let mut group = std::ptr::null_mut();
        // SAFETY: the store is open, and c10d keeps it alive; the call sets `group` where it returns no message.
        let message = unsafe { ffi::lipscope_group_open(store.0, rank, of, milliseconds(timeout), &raw mut group) };
        check(message, "connecting with the other ranks").map(|()| Group { group, on_gpus: false })
    }

    /// The same over NCCL.
    ///
    /// # Errors
    /// The program was built without it, or there is no GPU.
    pub fn open_on_gpus(store: &KeyStore, rank: usize, of: usize, timeout: Duration) -> Result<Self> {
        let (rank, of) = (rank as c_int, of as c_int);
        let mut group = std::ptr::null_mut();
        // SAFETY: as in `open`.
        let message = unsafe { ffi::lipscope_nccl_open(store.0, rank, of, milliseconds(timeout), &raw mut group) };
        check(message, "connecting the GPUs of all ranks").map(|()| Group { group, on_gpus: true })
    }

    /// Begins a collective on a contiguous tensor where the group works. All ranks call the same ones in the same order.
    pub fn begin(&self, what: Collective, tensor: &Tensor) -> Result<Work> {
        if matches!(tensor.device(), Device::Cuda(_)) != self.on_gpus || !tensor.is_contiguous() {
            return Err(Error::mismatch("a collective was given a tensor that it cannot take", "Report this."));
        }
        let mut work = std::ptr::null_mut();
        // SAFETY: group and tensor are live, and c10d keeps the tensor's memory until the work is done.
        let message =
            unsafe { ffi::lipscope_group_begin(self.group, what == Collective::Sum, handle(tensor), &raw mut work) };
        check(message, "beginning a sum over all ranks").map(|()| Work(work))
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // SAFETY: it was opened once and is closed once.
        unsafe { ffi::lipscope_group_close(self.group) }
    }
}

/// A collective that goes on.
pub struct Work(*mut c_void);

impl Work {
    /// Whether it is done; waits for that at most `time`.
    ///
    /// # Errors
    /// Another rank cannot be reached any more.
    pub fn wait(&self, time: Duration) -> Result<bool> {
        let (mut done, time) = (false, milliseconds(time).max(1));
        // SAFETY: the work is live, and the flag outlives the call.
        check(unsafe { ffi::lipscope_work_wait(self.0, time, &raw mut done) }, "summing over all ranks")?;
        Ok(done)
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        // SAFETY: it was begun once and is closed once.
        unsafe { ffi::lipscope_work_close(self.0) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    const LONG: Duration = Duration::from_secs(60);

    fn free_port() -> u16 {
        TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
    }

    /// Two ranks in two threads.
    #[test]
    fn two_ranks_tell_count_and_sum() {
        let port = free_port();
        let rank = move |rank: usize| {
            let store = KeyStore::open("127.0.0.1", port, rank == 0, LONG, "test").unwrap();
            store.set(&format!("at/{rank}"), "here").unwrap();
            let other = format!("at/{}", 1 - rank);
            let group = Group::open(&store, rank, 2, LONG).unwrap();
            let tensor = Tensor::from_slice(&[1.0 + rank as f64, 10.0]);
            for what in [Collective::Sum, Collective::FromFirst] {
                let work = group.begin(what, &tensor).unwrap();
                while !work.wait(Duration::from_millis(100)).unwrap() {}
                if what == Collective::Sum {
                    assert_eq!(Vec::<f64>::try_from(&tensor).unwrap(), [3.0, 20.0]);
                    let _ = tensor.shallow_clone().fill_(rank as f64 + 5.0);
                }
            }
            assert_eq!(Vec::<f64>::try_from(&tensor).unwrap(), [5.0, 5.0]);
            assert_eq!(store.get(&other).unwrap().as_deref(), Some("here"));
            assert_eq!(store.get("never").unwrap(), None);
            store.set("empty", "").unwrap();
            assert_eq!(store.get("empty").unwrap().as_deref(), Some(""));
            assert!((1..=2).contains(&store.count("together").unwrap()));
            // Work that is done as its time runs out is done.
            for _ in 0..200 {
                std::thread::sleep(Duration::from_micros(if rank == 0 { 0 } else { 1000 }));
                let work = group.begin(Collective::Sum, &tensor).unwrap();
                while !work.wait(Duration::from_millis(1)).unwrap() {}
            }
            // The server goes last.
            let last = group.begin(Collective::Sum, &tensor).unwrap();
            while !last.wait(LONG).unwrap() {}
            std::thread::sleep(Duration::from_millis(if rank == 0 { 300 } else { 0 }));
        };
        let other = std::thread::spawn(move || rank(1));
        rank(0);
        other.join().unwrap();
    }

    #[test]
    fn without_nccl_or_gpus_its_group_is_an_error_and_no_tensor_of_another_place_is_taken() {
        let store = KeyStore::open("127.0.0.1", free_port(), true, LONG, "test").unwrap();
        if !has_nccl() || !tch::Cuda::is_available() {
            let error = Group::open_on_gpus(&store, 0, 1, LONG).err().unwrap().to_string();
            let cause = if has_nccl() { "no GPU" } else { "built without NCCL" };
            assert!(error.contains(cause), "{error}");
            assert!(gpu(0).is_err());
        }
        let group = Group::open(&store, 0, 1, LONG).unwrap();
        let apart = Tensor::zeros([4, 4], (tch::Kind::Float, Device::Cpu)).tr();
        assert!(group.begin(Collective::Sum, &apart).is_err(), "it is not contiguous");
    }

    #[test]
    fn a_port_that_is_taken_is_an_error() {
        let taken = TcpListener::bind("0.0.0.0:0").unwrap();
        let port = taken.local_addr().unwrap().port();
        let error = KeyStore::open("127.0.0.1", port, true, LONG, "test").err().unwrap().to_string();
        assert!(error.contains("in use"), "{error}");
    }
}
