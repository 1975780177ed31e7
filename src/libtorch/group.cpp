// Processes that train one network together: c10d's key-value store, and its group of processes over Gloo. Conventions
// are those of extra.cpp.

#include "guarded.h"

#define USE_C10D_GLOO
#include <c10/util/Logging.h>
#include <torch/csrc/distributed/c10d/PrefixStore.hpp>
#include <torch/csrc/distributed/c10d/ProcessGroupGloo.hpp>
#include <torch/csrc/distributed/c10d/TCPStore.hpp>

#include <cstdlib>
#include <iostream>

namespace {

using Store = c10::intrusive_ptr<c10d::Store>;
using Group = c10::intrusive_ptr<c10d::ProcessGroupGloo>;
using Work = c10::intrusive_ptr<c10d::Work>;

Store &store_of(void *store) { return *static_cast<Store *>(store); }

}  // namespace

extern "C" {

// The store at host:port, served by this process or by another one; its keys begin with `prefix`.
char *lipscope_store_open(const char *host, uint16_t port, bool serve, int64_t timeout_ms, const char *prefix,
                          void **store) {
  return guarded([&] {
    // What fails is told by the error; libtorch's own lines would come on top of it.
    if (std::getenv("TORCH_CPP_LOG_LEVEL") == nullptr) FLAGS_caffe2_log_level = c10::GLOG_FATAL;
    c10d::TCPStoreOptions options;
    options.port = port;
    options.isServer = serve;
    options.waitWorkers = false;
    options.timeout = std::chrono::milliseconds(timeout_ms);
    Store tcp = c10::make_intrusive<c10d::TCPStore>(host, options);
    *store = new Store(c10::make_intrusive<c10d::PrefixStore>(prefix, tcp));
  });
}

void lipscope_store_close(void *store) { delete static_cast<Store *>(store); }

char *lipscope_store_set(void *store, const char *key, const char *text, size_t length) {
  return guarded([&] { store_of(store)->set(key, std::vector<uint8_t>(text, text + length)); });
}

// Hands the value to `take`; waits for a key that is not there.
char *lipscope_store_get(void *store, const char *key, void (*take)(void *, const char *, size_t), void *context) {
  return guarded([&] {
    const std::vector<uint8_t> value = store_of(store)->get(key);
    take(context, reinterpret_cast<const char *>(value.data()), value.size());
  });
}

char *lipscope_store_check(void *store, const char *key, bool *there) {
  return guarded([&] { *there = store_of(store)->check({key}); });
}

char *lipscope_store_add(void *store, const char *key, int64_t delta, int64_t *value) {
  return guarded([&] { *value = store_of(store)->add(key, delta); });
}

// Connects with all other ranks; they find each other through the store.
char *lipscope_group_open(void *store, int rank, int of, int64_t timeout_ms, void **group) {
  return guarded([&] {
    // Gloo prints how many peers it is connected with.
    std::streambuf *console = std::cout.rdbuf(nullptr);
    try {
      auto options = c10d::ProcessGroupGloo::Options::create_default(std::chrono::milliseconds(timeout_ms));
      *group = new Group(c10::make_intrusive<c10d::ProcessGroupGloo>(store_of(store), rank, of, options));
    } catch (...) {
      std::cout.rdbuf(console);
      throw;
    }
    std::cout.rdbuf(console);
    std::cout.clear();
  });
}

void lipscope_group_close(void *group) { delete static_cast<Group *>(group); }

// Begins to sum a tensor over all ranks, in place, or to copy that of rank 0 to all.
char *lipscope_group_begin(void *group, bool sum, const at::Tensor *tensor, void **work) {
  return guarded([&] {
    auto &gloo = *static_cast<Group *>(group);
    std::vector<at::Tensor> tensors{*tensor};
    *work = new Work(sum ? gloo->allreduce(tensors) : gloo->broadcast(tensors));
  });
}

// Whether it is done within this time.
char *lipscope_work_wait(void *work, int64_t timeout_ms, bool *done) {
  return guarded([&] {
    auto &waited = *static_cast<Work *>(work);
    try {
      waited->wait(std::chrono::milliseconds(timeout_ms));
      *done = true;
    } catch (const c10::Error &) {
      if (waited->isCompleted()) throw;
      *done = false;
    }
  });
}

void lipscope_work_close(void *work) { delete static_cast<Work *>(work); }

}  // extern "C"
