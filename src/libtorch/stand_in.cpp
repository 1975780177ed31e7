// A device for tests on machines without a GPU. Under the dispatch key of MPS, which no libtorch but that of macOS
// implements, tensors are made whose numbers lie in main memory, and every operation on them is computed by its kernel for
// the CPU. As on a GPU, an operation refuses tensors of two devices, a scalar on the CPU excepted, and numbers reach the
// host by a copy or a read only, which are counted. In a program that does not call lipscope_stand_in nothing of this is
// linked.

#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>
#include <ATen/EmptyTensor.h>
#include <ATen/NativeFunctions.h>
#include <ATen/detail/MPSHooksInterface.h>
#include <ATen/native/CPUFallback.h>
#include <c10/core/impl/DeviceGuardImplInterface.h>
#include <torch/library.h>

#include <atomic>
#include <cstdlib>
#include <cstring>

namespace {

constexpr c10::DeviceType STAND_IN = c10::DeviceType::MPS;
constexpr c10::DispatchKeySet KEYS(c10::DispatchKey::MPS);

// Reads of the host, and copies to the device for which the host waits.
std::atomic<int64_t> reads{0}, uploads{0};

// Set while an operation is carried out on the CPU, whose copies are none of the program's.
thread_local bool carrying_out = false;

struct CarryingOut {
  bool before = carrying_out;
  CarryingOut() { carrying_out = true; }
  ~CarryingOut() { carrying_out = before; }
};

struct Memory final : c10::Allocator {
  c10::DataPtr allocate(size_t bytes) override {
    void *data = std::malloc(bytes == 0 ? 1 : bytes);
    TORCH_CHECK(data != nullptr, "out of memory");
    return {data, data, &std::free, c10::Device(STAND_IN, 0)};
  }
  c10::DeleterFnPtr raw_deleter() const override { return &std::free; }
  void copy_data(void *to, const void *from, size_t bytes) const override { std::memcpy(to, from, bytes); }
};
Memory memory;

struct Guard final : c10::impl::NoOpDeviceGuardImpl<STAND_IN> {
  c10::Device exchangeDevice(c10::Device) const override { return {STAND_IN, 0}; }
  c10::Device getDevice() const override { return {STAND_IN, 0}; }
  c10::Stream getStream(c10::Device) const noexcept override { return c10::Stream(c10::Stream::DEFAULT, {STAND_IN, 0}); }
  c10::DeviceIndex deviceCount() const noexcept override { return 1; }
};

// What libtorch asks of the only kind of accelerator that is there.
struct Hooks final : at::MPSHooksInterface {
  void init() const override {}
  bool hasMPS() const override { return true; }
  bool isBuilt() const override { return true; }
  bool isAvailable() const override { return true; }
  bool hasPrimaryContext(c10::DeviceIndex) const override { return true; }
  c10::DeviceIndex deviceCount() const override { return 1; }
  const at::Generator &getDefaultGenerator(c10::DeviceIndex) const override { return at::detail::getDefaultCPUGenerator(); }
};

bool on_device(const at::Tensor &tensor) { return tensor.defined() && tensor.device().type() == STAND_IN; }

// The same memory as a tensor on the CPU.
at::Tensor host_view(const at::Tensor &tensor) {
  if (!on_device(tensor)) return tensor;
  auto options = at::TensorOptions().dtype(tensor.dtype()).device(at::kCPU);
  return at::from_blob(tensor.data_ptr(), tensor.sizes(), tensor.strides(), [tensor](void *) {}, options);
}

at::Tensor empty(at::IntArrayRef size, std::optional<at::ScalarType> dtype, std::optional<at::Layout>,
                 std::optional<at::Device>, std::optional<bool>, std::optional<at::MemoryFormat> format) {
  return at::detail::empty_generic(size, &memory, KEYS, c10::dtype_or_default(dtype), format);
}

at::Tensor empty_strided(at::IntArrayRef size, at::IntArrayRef stride, std::optional<at::ScalarType> dtype,
                         std::optional<at::Layout>, std::optional<at::Device>, std::optional<bool>) {
  return at::detail::empty_strided_generic(size, stride, &memory, KEYS, c10::dtype_or_default(dtype));
}

at::Tensor &copy_(at::Tensor &self, const at::Tensor &source, bool non_blocking) {
  if (!carrying_out && on_device(source) && !on_device(self)) ++reads;
  if (!carrying_out && !on_device(source) && on_device(self) && !non_blocking) ++uploads;
  host_view(self).copy_(host_view(source));
  return self;
}

at::Tensor copy_from(const at::Tensor &self, const at::Tensor &to, bool non_blocking) {
  at::Tensor target = to;
  return copy_(target, self, non_blocking);
}

at::Tensor copy_from_and_resize(const at::Tensor &self, const at::Tensor &to) {
  if (to.sizes() != self.sizes()) at::native::resize_(to, self.sizes());
  return copy_from(self, to, true);
}

at::Scalar local_scalar_dense(const at::Tensor &self) {
  if (!carrying_out) ++reads;
  return at::_local_scalar_dense(host_view(self));
}

void refuse_other_devices(const c10::OperatorHandle &op, const at::Tensor &tensor) {
  TORCH_CHECK(!tensor.defined() || on_device(tensor) || tensor.dim() == 0, op.operator_name(),
              " was given tensors of two devices, one of shape ", tensor.sizes(), " on the CPU");
}

// Operations that know the shape of what they give by its numbers only.
bool waits(const std::string &name) {
  for (const char *other : {"aten::nonzero", "aten::masked_select", "aten::equal", "aten::_unique2", "aten::bincount"}) {
    if (name == other) return true;
  }
  return false;
}

void on_the_cpu(const c10::OperatorHandle &op, torch::jit::Stack *stack) {
  for (const auto &argument : torch::jit::last(*stack, op.schema().arguments().size())) {
    if (argument.isTensor()) refuse_other_devices(op, argument.toTensor());
    if (argument.isTensorList()) {
      for (const at::Tensor &tensor : argument.toTensorList()) refuse_other_devices(op, tensor);
    }
    if (argument.isOptionalTensorList()) {
      for (const std::optional<at::Tensor> tensor : argument.toOptionalTensorList()) {
        if (tensor) refuse_other_devices(op, *tensor);
      }
    }
  }
  if (!carrying_out && waits(op.operator_name().name)) ++reads;
  CarryingOut now;
  at::native::cpu_fallback(op, stack);
}

// libtorch chooses among kernels of attention by the device, and has none for this one.
at::Tensor attention(const at::Tensor &query, const at::Tensor &key, const at::Tensor &value,
                     const std::optional<at::Tensor> &mask, double dropout, bool causal, std::optional<double> scale,
                     bool grouped) {
  for (const at::Tensor &tensor : {query, key, value, mask.value_or(query)}) {
    TORCH_CHECK(on_device(tensor), "attention was given tensors of two devices");
  }
  auto result = at::_scaled_dot_product_attention_math(query, key, value, mask, dropout, causal, {}, scale, grouped);
  return std::get<0>(result);
}

void register_kernels() {
  static c10::impl::DeviceGuardImplRegistrar guard(STAND_IN, new Guard());
  at::MPSHooksRegistry()->Register(
      "MPSHooks", []() -> std::unique_ptr<at::MPSHooksInterface> { return std::make_unique<Hooks>(); });
  static torch::Library all(torch::Library::IMPL, "_", c10::DispatchKey::MPS, __FILE__, __LINE__);
  all.fallback(torch::CppFunction::makeFromBoxedFunction<&on_the_cpu>());
  static torch::Library aten(torch::Library::IMPL, "aten", c10::DispatchKey::MPS, __FILE__, __LINE__);
  aten.impl("empty.memory_format", &empty);
  aten.impl("empty_strided", &empty_strided);
  aten.impl("copy_", &copy_);
  aten.impl("_copy_from", &copy_from);
  aten.impl("_copy_from_and_resize", &copy_from_and_resize);
  aten.impl("_local_scalar_dense", &local_scalar_dense);
  aten.impl("as_strided", &at::native::as_strided_tensorimpl);
  aten.impl("view", &at::native::view);
  aten.impl("_reshape_alias", &at::native::_reshape_alias);
  aten.impl("unfold", &at::native::unfold);
  aten.impl("resize_", &at::native::resize_);
  aten.impl("scaled_dot_product_attention", &attention);
  static torch::Library derivatives(torch::Library::IMPL, "aten", c10::DispatchKey::AutogradMPS, __FILE__, __LINE__);
  derivatives.impl("scaled_dot_product_attention", &attention);
  // libtorch composes them of parts that are Metal's.
  for (const char *name : {"convolution", "convolution_overrideable", "convolution_backward", "native_group_norm",
                           "native_layer_norm", "linear_backward"}) {
    aten.impl(name, torch::CppFunction::makeFromBoxedFunction<&on_the_cpu>());
  }
}

}  // namespace

extern "C" {

char *lipscope_stand_in() {
  try {
    static const bool registered = (register_kernels(), true);
    (void)registered;
    return nullptr;
  } catch (const std::exception &error) {
    return strdup(error.what());
  }
}

// How often the host has read numbers of the device, and waited for a copy to it, since the last call.
void lipscope_stand_in_waits(int64_t *host_reads, int64_t *waiting_uploads) {
  *host_reads = reads.exchange(0);
  *waiting_uploads = uploads.exchange(0);
}

}  // extern "C"
