//! The few calls of libtorch's C++ interface that tch does not offer; `extra.cpp` is their other side. All unsafe code
//! of this crate that touches libtorch is here and in [`group`].

pub mod group;

pub mod stand_in;

use crate::error::{Doing, Error, Result, torch_message};
use crate::tensor_file;
use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use tch::{CModule, Device, Kind, TchError, Tensor};

type Handle = *const c_void;
type Message = *mut c_char;
type ForwardCallback = extern "C" fn(*mut c_void, *mut c_void, *mut c_void) -> *mut c_void;
type TakeCallback = extern "C" fn(*mut c_void, *const c_char, usize);

#[allow(clippy::too_many_arguments)]
mod ffi {
    use super::{ForwardCallback, Handle, Message, TakeCallback};
    use std::ffi::{c_char, c_int, c_void};

    unsafe extern "C" {
        pub fn lipscope_free(text: Message);
        pub fn lipscope_trace(
            class_name: *const c_char,
            tensors: *const Handle,
            names: *const *const c_char,
            is_buffer: *const bool,
            count: usize,
            x: Handle,
            t: Handle,
            forward: ForwardCallback,
            context: *mut c_void,
            take: TakeCallback,
            extra_names: *const *const c_char,
            extra: *const *const u8,
            extra_lengths: *const usize,
            extras: usize,
        ) -> Message;
        pub fn lipscope_adamw(
            parameters: *const Handle,
            gradients: *const Handle,
            first: *const Handle,
            second: *const Handle,
            count: usize,
            step: Handle,
            rate: f64,
            beta1: f64,
            beta2: f64,
            weight_decay: f64,
            epsilon: f64,
            found_inf: Handle,
        ) -> Message;
        pub fn lipscope_lerp(values: *const Handle, targets: *const Handle, count: usize, weight: f64) -> Message;
        pub fn lipscope_clip(gradients: *const Handle, count: usize, limit: f64, norm: Handle) -> Message;
        pub fn lipscope_unscale(gradients: *const Handle, count: usize, scale: Handle, found_inf: Handle) -> Message;
        pub fn lipscope_update_scale(scale: Handle, growth: Handle, found_inf: Handle) -> Message;
        pub fn lipscope_forward_level(open: bool, level: *mut u64) -> Message;
        pub fn lipscope_plain_attention(plain: bool) -> Message;
        pub fn lipscope_autocast(device: c_int, dtype: c_int) -> Message;
        pub fn lipscope_pinned(host: Handle, pinned: Handle) -> Message;
        pub fn lipscope_free_memory(device: c_int, bytes: *mut u64) -> Message;
    }
}

/// Loads a TorchScript module in evaluation mode, after its archive was checked: on a damaged one libtorch's own loader may
/// end the process. `what` is what it is, for messages, such as `this TorchScript module`.
pub fn load_script(path: &Path, device: Device, what: &str) -> Result<CModule> {
    tensor_file::verify(path)?;
    let failed = |e: TchError| {
        let problem = format!("libtorch cannot load {what} ({})", torch_message(&e));
        Error::file(path, problem, "The file may be from a newer PyTorch; save it again with torch.jit.save.")
    };
    let mut module = CModule::load_on_device(path, device).map_err(failed)?;
    module.f_set_eval().map_err(failed)?;
    Ok(module)
}

/// Calls `f` with a tensor on the CPU over these very bytes, row-major, of which nothing outlives the call.
///
/// # Errors
/// There are not as many bytes as the shape asks for; and the errors of `f`.
pub fn with_numbers(bytes: &[u8], shape: &[i64], kind: Kind, f: impl FnOnce(&Tensor) -> Result<()>) -> Result<()> {
    let doing = "making a tensor from an array";
    let wanted = shape.iter().product::<i64>() as usize * kind.elt_size_in_bytes();
    if wanted != bytes.len() {
        let problem = format!("{shape:?} of {kind:?} takes {wanted} bytes, and there are {}", bytes.len());
        return Err(Error::mismatch(problem, "Report this."));
    }
    if !bytes.as_ptr().addr().is_multiple_of(kind.elt_size_in_bytes()) {
        return f(&Tensor::f_from_data_size(bytes, shape, kind).doing(doing)?);
    }
    let mut strides = vec![1; shape.len()];
    for axis in (1..shape.len()).rev() {
        strides[axis - 1] = strides[axis] * shape[axis].max(1);
    }
    // SAFETY: there are as many bytes as elements, at a place that is aligned for them; `f` gets a reference and is done with
    // them when it returns.
    let numbers = unsafe { Tensor::f_from_blob(bytes.as_ptr(), shape, &strides, kind, Device::Cpu) };
    f(&numbers.doing(doing)?)
}

fn handle(tensor: &Tensor) -> Handle {
    tensor.as_ptr().cast()
}

fn handles(tensors: &[Tensor]) -> Vec<Handle> {
    tensors.iter().map(handle).collect()
}

/// Takes over the message of a call.
fn check(message: Message, doing: &str) -> Result<()> {
    if message.is_null() {
        return Ok(());
    }
    // SAFETY: extra.cpp returns a string of its own, which is freed once, here.
    let text = unsafe {
        let text = CStr::from_ptr(message).to_string_lossy().into_owned();
        ffi::lipscope_free(message);
        text
    };
    Err(Error::torch(doing, &text))
}

/// The settings of one AdamW step.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AdamW {
    /// Learning rate.
    pub rate: f64,
    /// Decay of the first moment.
    pub beta1: f64,
    /// Decay of the second moment.
    pub beta2: f64,
    /// Decoupled weight decay.
    pub weight_decay: f64,
    /// Added to the root of the second moment.
    pub epsilon: f64,
}

/// Parameters, gradients and moments: lists of one length.
pub struct AdamWTensors<'a> {
    /// Changed in place.
    pub parameters: &'a [Tensor],
    /// The gradients.
    pub gradients: &'a [Tensor],
    /// First moments, changed in place.
    pub first: &'a [Tensor],
    /// Second moments, changed in place.
    pub second: &'a [Tensor],
    /// Number of steps, a scalar in float32, counted up in place.
    pub step: &'a Tensor,
}

/// One fused AdamW step; with `found_inf` 1 it changes nothing. No gradients must be recorded.
pub fn adamw(tensors: &AdamWTensors, settings: &AdamW, found_inf: Option<&Tensor>) -> Result<()> {
    let count = tensors.parameters.len();
    let lists = [tensors.parameters, tensors.gradients, tensors.first, tensors.second];
    if lists.iter().any(|list| list.len() != count) {
        return Err(Error::mismatch("the optimiser's lists differ in length", "Report this."));
    }
    let [parameters, gradients, first, second] = lists.map(handles);
    let &AdamW { rate, beta1, beta2, weight_decay, epsilon } = settings;
    // SAFETY: all lists hold `count` live tensors.
    let message = unsafe {
        ffi::lipscope_adamw(
            parameters.as_ptr(),
            gradients.as_ptr(),
            first.as_ptr(),
            second.as_ptr(),
            count,
            handle(tensors.step),
            rate,
            beta1,
            beta2,
            weight_decay,
            epsilon,
            found_inf.map_or(std::ptr::null(), handle),
        )
    };
    check(message, "taking an optimiser step")
}

/// values ← values + weight · (targets − values), in place.
pub fn lerp(values: &[Tensor], targets: &[Tensor], weight: f64) -> Result<()> {
    let (v, t) = (handles(values), handles(targets));
    // SAFETY: both lists hold as many live tensors as the shorter one counts.
    check(unsafe { ffi::lipscope_lerp(v.as_ptr(), t.as_ptr(), v.len().min(t.len()), weight) }, "averaging weights")
}

/// The 2-norm over all gradients, a scalar on their device; scales them down to `limit`, in place, where it is given.
pub fn clip(gradients: &[Tensor], limit: Option<f64>) -> Result<Tensor> {
    let (list, norm) = (handles(gradients), Tensor::new());
    // SAFETY: the list holds live tensors, and `norm` is one that the call may assign to.
    let message = unsafe { ffi::lipscope_clip(list.as_ptr(), list.len(), limit.unwrap_or(0.0), handle(&norm)) };
    check(message, "measuring gradients").map(|()| norm)
}

/// Divides gradients by the loss scale in place, and sets `found_inf` to 1 where one is not finite.
pub fn unscale(gradients: &[Tensor], scale: &Tensor, found_inf: &Tensor) -> Result<()> {
    let list = handles(gradients);
    // SAFETY: all tensors are live.
    let message = unsafe { ffi::lipscope_unscale(list.as_ptr(), list.len(), handle(scale), handle(found_inf)) };
    check(message, "unscaling gradients")
}

/// Doubles the loss scale after 2,000 finite steps, halves it after one that was not, and counts in `growth`.
pub fn update_scale(scale: &Tensor, growth: &Tensor, found_inf: &Tensor) -> Result<()> {
    // SAFETY: all tensors are live.
    let message = unsafe { ffi::lipscope_update_scale(handle(scale), handle(growth), handle(found_inf)) };
    check(message, "updating the loss scale")
}

/// Runs `f` with a level of forward-mode differentiation, whose number it is given, and with attention computed by
/// operations that have derivatives. One call at a time: libtorch has one such level for the whole process.
pub fn forward_mode<T>(f: impl FnOnce(i64) -> Result<T>) -> Result<T> {
    let _alone = alone();
    let mut level = 0u64;
    // SAFETY: `level` is a live number.
    check(unsafe { ffi::lipscope_forward_level(true, &raw mut level) }, "opening forward-mode differentiation")?;
    let result = with_plain_attention(|| f(level as i64));
    // SAFETY: the same.
    check(unsafe { ffi::lipscope_forward_level(false, &raw mut level) }, "closing forward-mode differentiation")?;
    result
}

/// Runs `f` with attention computed by products and a softmax: fused kernels have no second derivative. One call at a
/// time: the choice of kernels is the whole process's.
pub fn plain_attention<T>(f: impl FnOnce() -> Result<T>) -> Result<T> {
    let _alone = alone();
    with_plain_attention(f)
}

/// Held while a setting of the whole process differs from its default.
fn alone() -> MutexGuard<'static, ()> {
    static SETTINGS: Mutex<()> = Mutex::new(());
    // What a panicking thread leaves behind is a setting, not broken data.
    SETTINGS.lock().unwrap_or_else(PoisonError::into_inner)
}

fn with_plain_attention<T>(f: impl FnOnce() -> Result<T>) -> Result<T> {
    // SAFETY: the calls take booleans only.
    check(unsafe { ffi::lipscope_plain_attention(true) }, "choosing an attention kernel")?;
    let result = f();
    check(unsafe { ffi::lipscope_plain_attention(false) }, "choosing an attention kernel")?;
    result
}

pub use lipscope_core::cli::args::Autocast;

/// A copy of a tensor on the CPU in memory that a GPU reads while the host goes on. tch's own call names the device, about
/// which libtorch complains.
pub fn pinned(host: &Tensor) -> Result<Tensor> {
    let copy = Tensor::new();
    // SAFETY: `host` is a live tensor, and `copy` one that the call may assign to.
    check(unsafe { ffi::lipscope_pinned(handle(host), handle(&copy)) }, "pinning memory").map(|()| copy)
}

/// Bytes that a CUDA device has free, where libtorch can tell.
pub fn free_memory(device: usize) -> Option<u64> {
    let (index, mut bytes) = (c_int::try_from(device).ok()?, 0);
    // SAFETY: `bytes` is a live number.
    let told = check(unsafe { ffi::lipscope_free_memory(index, &raw mut bytes) }, "asking for free memory");
    told.is_ok().then_some(bytes)
}

/// Runs `f` under autocast on `device`, or as it is without one.
pub fn autocast<T>(device: Device, dtype: Option<Autocast>, f: impl FnOnce() -> Result<T>) -> Result<T> {
    let Some(dtype) = dtype else { return f() };
    let device = c_int::from(matches!(device, Device::Cuda(_)));
    let code = if dtype == Autocast::F16 { 1 } else { 2 };
    // SAFETY: the calls take numbers only.
    check(unsafe { ffi::lipscope_autocast(device, code) }, "switching autocast on")?;
    let result = f();
    check(unsafe { ffi::lipscope_autocast(device, 0) }, "switching autocast off")?;
    result
}

/// A tensor of a traced module under its dotted name.
pub struct Named {
    /// Such as `down_blocks.0.resnets.0.conv1.weight`.
    pub name: String,
    /// The very tensor that the forward pass uses.
    pub tensor: Tensor,
    /// Whether it is a buffer, not a parameter.
    pub buffer: bool,
}

/// A forward pass f(x, t) to be traced.
pub type Forward<'a> = &'a mut dyn FnMut(&Tensor, &Tensor) -> Result<Tensor>;

struct Context<'a> {
    forward: Forward<'a>,
    error: Option<Error>,
    archive: Vec<u8>,
}

/// Traces `forward` once on the example x and t, and returns the archive of a TorchScript module of class `class_name`
/// with the method forward(x, t), the tensors under their names and the extra files.
pub fn trace(
    class_name: &str,
    tensors: &[Named],
    [x, t]: [&Tensor; 2],
    forward: Forward,
    extra: &[(String, Vec<u8>)],
) -> Result<Vec<u8>> {
    let text = |text: &str| {
        CString::new(text).map_err(|_| Error::mismatch(format!("`{text}` holds a zero byte"), "Choose another name."))
    };
    let names = tensors.iter().map(|named| text(&named.name)).collect::<Result<Vec<_>>>()?;
    let name_pointers: Vec<*const c_char> = names.iter().map(|name| name.as_ptr()).collect();
    let pointers: Vec<Handle> = tensors.iter().map(|named| handle(&named.tensor)).collect();
    let buffers: Vec<bool> = tensors.iter().map(|named| named.buffer).collect();
    let extra_names = extra.iter().map(|(name, _)| text(name)).collect::<Result<Vec<_>>>()?;
    let extra_name_pointers: Vec<*const c_char> = extra_names.iter().map(|name| name.as_ptr()).collect();
    let extra_pointers: Vec<*const u8> = extra.iter().map(|(_, bytes)| bytes.as_ptr()).collect();
    let extra_lengths: Vec<usize> = extra.iter().map(|(_, bytes)| bytes.len()).collect();
    let class_name = text(class_name)?;
    let mut context = Context { forward, error: None, archive: Vec::new() };
    // SAFETY: every pointer outlives the call, every list has the length that is given, and the callbacks get the context
    // back that is given here.
    let message = unsafe {
        ffi::lipscope_trace(
            class_name.as_ptr(),
            pointers.as_ptr(),
            name_pointers.as_ptr(),
            buffers.as_ptr(),
            pointers.len(),
            handle(x),
            handle(t),
            call_forward,
            (&raw mut context).cast(),
            take_archive,
            extra_name_pointers.as_ptr(),
            extra_pointers.as_ptr(),
            extra_lengths.as_ptr(),
            extra.len(),
        )
    };
    let outcome = check(message, "saving a TorchScript module");
    match context.error {
        Some(error) => Err(error),
        None => outcome.map(|()| context.archive),
    }
}

/// The other side calls this with its own tensors; the result is handed over to it.
extern "C" fn call_forward(context: *mut c_void, x: *mut c_void, t: *mut c_void) -> *mut c_void {
    // SAFETY: `context` is the one that `trace` passed, and x and t are live tensors, which are cloned, not taken.
    let (context, x, t) = unsafe {
        let x = Tensor::clone_from_ptr(x.cast());
        (&mut *context.cast::<Context>(), x, Tensor::clone_from_ptr(t.cast()))
    };
    match (context.forward)(&x, &t) {
        Ok(output) => {
            let mut output = std::mem::ManuallyDrop::new(output);
            output.as_mut_ptr().cast()
        }
        Err(error) => {
            context.error = Some(error);
            std::ptr::null_mut()
        }
    }
}

/// The other side calls this once with the archive, which it keeps.
extern "C" fn take_archive(context: *mut c_void, bytes: *const c_char, length: usize) {
    // SAFETY: `context` is the one that `trace` passed, and `bytes` are `length` bytes that live through this call.
    let (context, bytes) =
        unsafe { (&mut *context.cast::<Context>(), std::slice::from_raw_parts(bytes.cast::<u8>(), length)) };
    context.archive = bytes.to_vec();
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::CModule;

    fn traced(forward: Forward) -> Result<Vec<u8>> {
        let weight = Tensor::from_slice(&[2f32]);
        let named = [Named { name: "a.0.weight".into(), tensor: weight, buffer: false }];
        let zeros = |shape: &[i64]| Tensor::zeros(shape, (Kind::Float, Device::Cpu));
        trace("Test", &named, [&zeros(&[2, 3]), &zeros(&[2])], forward, &[("note.txt".into(), b"hello".to_vec())])
    }

    #[test]
    fn a_trace_is_a_module_that_computes_the_same() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("module.pt");
        std::fs::write(&path, traced(&mut |x, t| Ok(x * 3.0 + t.unsqueeze(1))).unwrap()).unwrap();
        let module = CModule::load(&path).unwrap();
        let x = Tensor::ones([4, 3], (Kind::Float, Device::Cpu));
        let y = module.forward_ts(&[&x, &Tensor::from_slice(&[0f32, 1.0, 2.0, 3.0])]).unwrap();
        assert_eq!(Vec::<f32>::try_from(y.select(1, 0)).unwrap(), [3.0, 4.0, 5.0, 6.0]);
        assert_eq!(module.named_parameters().unwrap()[0].0, "a.0.weight");
    }

    #[test]
    fn errors_of_both_sides_come_back() {
        let error = traced(&mut |_, _| Err(Error::mismatch("no such thing", "Try another"))).unwrap_err().to_string();
        assert!(error.contains("no such thing"), "{error}");
        let (two, three) = ([Tensor::from_slice(&[1f32; 2])], [Tensor::from_slice(&[1f32; 3])]);
        let error = lerp(&two, &three, 0.5).unwrap_err().to_string();
        assert!(error.starts_with("libtorch failed while averaging weights"), "{error}");
        // Afterwards tracing works again.
        traced(&mut |x, _| Ok(x * 2.0)).unwrap();
    }

    #[test]
    fn forward_mode_works_from_several_threads_at_once() {
        let square_rate = || {
            forward_mode(|level| {
                let x = Tensor::from_slice(&[3f64]);
                let dual = Tensor::internal_make_dual(&x, &x.ones_like(), level);
                std::thread::sleep(std::time::Duration::from_millis(2));
                let (_, tangent) = Tensor::internal_unpack_dual(&dual.square(), level);
                Ok(tangent.double_value(&[]))
            })
        };
        std::thread::scope(|scope| {
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(square_rate)).collect();
            for thread in threads {
                assert_eq!(thread.join().unwrap().unwrap(), 6.0);
            }
        });
    }

    #[test]
    fn autocast_computes_in_its_dtype_and_ends() {
        let x = Tensor::ones([2, 2], (Kind::Float, Device::Cpu));
        let product = |dtype| autocast(Device::Cpu, dtype, || Ok(x.matmul(&x).kind())).unwrap();
        assert_eq!(product(Some(Autocast::Bf16)), Kind::BFloat16);
        assert_eq!(product(None), Kind::Float);
    }
}
