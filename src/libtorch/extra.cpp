// What tch does not offer of libtorch's C++ interface. Each function returns null, or an error text to be freed by
// lipscope_free. Tensors are at::Tensor*, as tch hands them out.

#include "guarded.h"

#include <ATen/ATen.h>
#include <ATen/DeviceAccelerator.h>
#include <ATen/autocast_mode.h>
#include <torch/csrc/autograd/forward_grad.h>
#include <torch/csrc/jit/api/module.h>
#include <torch/csrc/jit/frontend/tracer.h>

#include <cstdlib>
#include <map>
#include <sstream>
#include <string>
#include <vector>

namespace {

using Tensors = at::Tensor *const *;

std::vector<at::Tensor> list(Tensors tensors, size_t count) {
  std::vector<at::Tensor> values;
  values.reserve(count);
  for (size_t i = 0; i < count; ++i) values.push_back(*tensors[i]);
  return values;
}

// Parameters and buffers by the parts of their dotted names: "a.b.weight" is the tensor "weight" of the module a.b.
struct Tree {
  std::map<std::string, Tree> children;
  std::map<std::string, std::pair<at::Tensor, bool>> tensors;
};

torch::jit::Module module_of(const Tree &tree, const std::string &name,
                             const std::shared_ptr<torch::jit::CompilationUnit> &unit) {
  torch::jit::Module module(c10::QualifiedName(c10::QualifiedName("__torch__.lipscope"), name), unit, true);
  module.register_attribute("training", c10::BoolType::get(), false);
  for (const auto &[child, below] : tree.children) {
    // Class names are identifiers, and "0" is not one.
    module.register_module(child, module_of(below, "Part_" + child, unit));
  }
  for (const auto &[key, entry] : tree.tensors) module.register_parameter(key, entry.first, entry.second);
  return module;
}

}  // namespace

extern "C" {

void lipscope_free(char *text) { std::free(text); }

// Traces forward(context, x, t) into the method `forward` of a module that holds the tensors under their names, and
// hands the archive, with extra files, to `take`. A null result of `forward` means that it failed. The archive is made in
// memory: libtorch's own writer ends the process where the disk is full.
char *lipscope_trace(const char *class_name, Tensors tensors, const char *const *names, const bool *is_buffer,
                     size_t count, at::Tensor *x, at::Tensor *t,
                     at::Tensor *(*forward)(void *, at::Tensor *, at::Tensor *), void *context,
                     void (*take)(void *, const char *, size_t), const char *const *extra_names, const char *const *extra, const size_t *extra_lengths,
                     size_t extras) {
  return guarded([&] {
    Tree tree;
    for (size_t i = 0; i < count; ++i) {
      std::string name(names[i]);
      Tree *at = &tree;
      for (size_t dot; (dot = name.find('.')) != std::string::npos; name.erase(0, dot + 1)) {
        at = &at->children[name.substr(0, dot)];
      }
      at->tensors.emplace(name, std::make_pair(*tensors[i], is_buffer[i]));
    }
    auto unit = std::make_shared<torch::jit::CompilationUnit>();
    auto module = module_of(tree, class_name, unit);
    auto traced = [&](torch::jit::Stack inputs) -> torch::jit::Stack {
      at::Tensor x = inputs.at(0).toTensor(), t = inputs.at(1).toTensor();
      at::Tensor *output = forward(context, &x, &t);
      if (output == nullptr) throw std::runtime_error("the network refused the example");
      at::Tensor value = *output;
      delete output;
      return {value};
    };
    auto lookup = [](const torch::autograd::Variable &) { return std::string(); };
    auto result = torch::jit::tracer::trace({*x, *t}, traced, lookup, true, false, &module, {"x", "t"});
    auto method = unit->create_function(c10::QualifiedName(*module.type()->name(), "forward"), result.first->graph);
    module.type()->addMethod(method);
    torch::jit::ExtraFilesMap files;
    for (size_t i = 0; i < extras; ++i) files.emplace(extra_names[i], std::string(extra[i], extra_lengths[i]));
    std::ostringstream archive;
    module.save(archive, files);
    const std::string bytes = archive.str();
    take(context, bytes.data(), bytes.size());
  });
}

// AdamW (Loshchilov & Hutter, arXiv 1711.05101) in libtorch's fused kernel, in place. `step` counts the steps, this one
// included. `found_inf` is null, or the flag that makes this step void and takes it out of the count again.
char *lipscope_adamw(Tensors parameters, Tensors gradients, Tensors first, Tensors second, size_t count,
                     at::Tensor *step, double rate, double beta1, double beta2, double weight_decay, double epsilon,
                     const at::Tensor *found_inf) {
  return guarded([&] {
    std::optional<at::Tensor> flag;
    if (found_inf != nullptr) flag = *found_inf;
    step->add_(1);
    at::_fused_adamw_(list(parameters, count), list(gradients, count), list(first, count), list(second, count), {},
                      std::vector<at::Tensor>(count, *step), rate, beta1, beta2, weight_decay, epsilon, false, false,
                      std::nullopt, flag);
    if (flag) step->sub_(flag->squeeze());
  });
}

// values += weight · (targets − values), in place.
char *lipscope_lerp(Tensors values, Tensors targets, size_t count, double weight) {
  return guarded([&] { at::_foreach_lerp_(list(values, count), list(targets, count), weight); });
}

// The 2-norm over all gradients into `norm`, a scalar; where `limit` is above 0 they are scaled down to it, in place.
char *lipscope_clip(Tensors gradients, size_t count, double limit, at::Tensor *norm) {
  return guarded([&] {
    auto values = list(gradients, count);
    *norm = at::linalg_vector_norm(at::stack(at::_foreach_norm(values, 2)), 2);
    if (limit > 0) at::_foreach_mul_(values, at::clamp_max(limit / (*norm + 1e-6), 1.0));
  });
}

// Gradients divided by the loss scale, in place; `found_inf` becomes 1 where one is not finite.
char *lipscope_unscale(Tensors gradients, size_t count, const at::Tensor *scale, at::Tensor *found_inf) {
  return guarded([&] {
    at::_amp_foreach_non_finite_check_and_unscale_(list(gradients, count), *found_inf, scale->reciprocal());
  });
}

// Doubles the loss scale after 2,000 finite steps and halves it after one that was not.
char *lipscope_update_scale(at::Tensor *scale, at::Tensor *growth, const at::Tensor *found_inf) {
  return guarded([&] { at::_amp_update_scale_(*scale, *growth, *found_inf, 2.0, 0.5, 2000); });
}

// Opens a level of forward-mode differentiation, or closes the one that is given.
char *lipscope_forward_level(bool open, uint64_t *level) {
  return guarded([&] {
    if (open) {
      *level = torch::autograd::ForwardADLevel::get_next_idx();
    } else {
      torch::autograd::ForwardADLevel::release_idx(*level);
    }
  });
}

// Whether attention is computed by products and a softmax, which can be differentiated twice and forwards, or by any of
// libtorch's fused kernels.
char *lipscope_plain_attention(bool plain) {
  return guarded([&] {
    auto &context = at::globalContext();
    context.setSDPUseFlash(!plain);
    context.setSDPUseMemEfficient(!plain);
    context.setSDPUseCuDNN(!plain);
  });
}

// The same numbers in pinned memory.
char *lipscope_pinned(const at::Tensor *host, at::Tensor *pinned) {
  return guarded([&] { *pinned = host->pin_memory(); });
}

// Free bytes of an accelerator.
char *lipscope_free_memory(int device, uint64_t *bytes) {
  return guarded([&] { *bytes = at::accelerator::getMemoryInfo(static_cast<c10::DeviceIndex>(device)).first; });
}

// Switches autocast to float16 (1), bfloat16 (2) or off (0) on the CPU (0) or CUDA (1), and drops cached weights.
char *lipscope_autocast(int device, int dtype) {
  return guarded([&] {
    auto type = device == 0 ? at::kCPU : at::kCUDA;
    if (dtype != 0) at::autocast::set_autocast_dtype(type, dtype == 1 ? at::kHalf : at::kBFloat16);
    at::autocast::set_autocast_enabled(type, dtype != 0);
    at::autocast::clear_cache();
  });
}

}  // extern "C"
