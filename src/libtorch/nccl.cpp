// c10d's group of processes over NCCL, which sums where tensors lie on GPUs. Compiled where libtorch has its CUDA half and
// CUDA's headers are found; group.cpp answers elsewhere. Conventions are those of extra.cpp.

#include "guarded.h"

#include <cstdio>

#define USE_C10D_NCCL
#include <ATen/cuda/CUDAContext.h>
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

// Where a GPU is in the machine, by which NCCL tells GPUs apart.
char *lipscope_gpu(int index, void (*take)(void *, const char *, size_t), void *context) {
  return guarded([&] {
    const cudaDeviceProp *gpu = at::cuda::getDeviceProperties(static_cast<c10::DeviceIndex>(index));
    char place[48];
    const int length = std::snprintf(place, sizeof place, "%x:%x:%x", gpu->pciDomainID, gpu->pciBusID, gpu->pciDeviceID);
    take(context, place, static_cast<size_t>(length));
  });
}

}  // extern "C"
