// c10d's group of processes over NCCL, which sums where tensors lie on GPUs. Compiled where libtorch has its CUDA half and
// CUDA's headers are found; group.cpp answers elsewhere. Conventions are those of extra.cpp.

#include "guarded.h"

#define USE_C10D_NCCL
#include <torch/csrc/distributed/c10d/PrefixStore.hpp>
#include <torch/csrc/distributed/c10d/ProcessGroupNCCL.hpp>

extern "C" {

bool lipscope_has_nccl() { return true; }

// Connects with all other ranks at the first sum; each has the GPU on which its tensors lie.
char *lipscope_nccl_open(void *store, int rank, int of, int64_t timeout_ms, void **group) {
  return guarded([&] {
    const auto &shared = *static_cast<c10::intrusive_ptr<c10d::Store> *>(store);
    auto options = c10d::ProcessGroupNCCL::Options::create();
    options->timeout = std::chrono::milliseconds(timeout_ms);
    auto own = c10::make_intrusive<c10d::PrefixStore>("nccl", shared);
    *group = new c10::intrusive_ptr<c10d::Backend>(
        c10::make_intrusive<c10d::ProcessGroupNCCL>(own, rank, of, options));
  });
}

}  // extern "C"
