// Processes that train one network together: c10d's key-value store, and its groups of processes, over Gloo here and over NCCL
// in nccl.cpp. Conventions are those of extra.cpp.

#include "guarded.h"

#include <cstdint>
#include <cstdlib>

#ifndef LIPSCOPE_WITH_NCCL

extern "C" {

bool lipscope_has_nccl() { return false; }

char *lipscope_nccl_open(void *, int, int, int64_t, void **) { return strdup("this program was built without NCCL"); }

char *lipscope_gpu(int, void (*)(void *, const char *, size_t), void *) {
  return strdup("this program was built without NCCL");
}

}  // extern "C"

#endif

#ifndef LIPSCOPE_WITHOUT_GLOO

#define USE_C10D_GLOO
#include <c10/util/Logging.h>
#include <torch/csrc/distributed/c10d/PrefixStore.hpp>
#include <torch/csrc/distributed/c10d/ProcessGroupGloo.hpp>
#include <torch/csrc/distributed/c10d/TCPStore.hpp>

#include <iostream>
#include <thread>

namespace {

using Store = c10::intrusive_ptr<c10d::Store>;
using Group = c10::intrusive_ptr<c10d::Backend>;

// A collective, and whether it goes on in a stream of a GPU.
struct Work {
  c10::intrusive_ptr<c10d::Work> work;
  bool streamed;
};

Store &store_of(void *store) { return *static_cast<Store *>(store); }

}  // namespace

extern "C" {

bool lipscope_has_gloo() { return true; }

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

// NCCL's threads are to end before it goes; what fails then has no one to hear of it.
void lipscope_group_close(void *group) {
  auto *closed = static_cast<Group *>(group);
  try {
    (*closed)->shutdown();
  } catch (const std::exception &) {
  }
  delete closed;
}

// Begins to sum a tensor over all ranks, in place, or to copy that of rank 0 to all.
char *lipscope_group_begin(void *group, bool sum, const at::Tensor *tensor, void **work) {
  return guarded([&] {
    auto &backend = *static_cast<Group *>(group);
    std::vector<at::Tensor> tensors{*tensor};
    *work = new Work{sum ? backend->allreduce(tensors) : backend->broadcast(tensors), tensor->is_cuda()};
  });
}

// Whether it is done within this time.
char *lipscope_work_wait(void *work, int64_t timeout_ms, bool *done) {
  return guarded([&] {
    auto &[waited, streamed] = *static_cast<Work *>(work);
    const auto until = std::chrono::steady_clock::now() + std::chrono::milliseconds(timeout_ms);
    // NCCL takes the end of a wait for a failure and tears itself down: it is asked instead.
    while (streamed && !waited->isCompleted()) {
      if (std::chrono::steady_clock::now() >= until) {
        *done = false;
        return;
      }
      std::this_thread::sleep_for(std::chrono::microseconds(20));
    }
    if (streamed) {
      // Done: this stream now follows that of the sum, and a failure is raised.
      waited->wait();
      *done = true;
      return;
    }
    try {
      waited->wait(std::chrono::milliseconds(timeout_ms));
    } catch (const c10::Error &) {
      // Out of time, which is no error, or failed.
      if (!waited->isCompleted()) {
        *done = false;
        return;
      }
      // It may have been done a moment after the time was out; a failure is raised again.
      waited->wait();
    }
    *done = true;
  });
}

void lipscope_work_close(void *work) { delete static_cast<Work *>(work); }

}  // extern "C"

#else

// A libtorch that was built without c10d or Gloo: every call says so.
namespace {

char *absent() {
  return strdup("this libtorch was built without Gloo, which training by several processes needs");
}

}  // namespace

extern "C" {

bool lipscope_has_gloo() { return false; }
char *lipscope_store_open(const char *, uint16_t, bool, int64_t, const char *, void **) { return absent(); }
void lipscope_store_close(void *) {}
char *lipscope_store_set(void *, const char *, const char *, size_t) { return absent(); }
char *lipscope_store_get(void *, const char *, void (*)(void *, const char *, size_t), void *) { return absent(); }
char *lipscope_store_check(void *, const char *, bool *) { return absent(); }
char *lipscope_store_add(void *, const char *, int64_t, int64_t *) { return absent(); }
char *lipscope_group_open(void *, int, int, int64_t, void **) { return absent(); }
void lipscope_group_close(void *) {}
char *lipscope_group_begin(void *, bool, const void *, void **) { return absent(); }
char *lipscope_work_wait(void *, int64_t, bool *) { return absent(); }
void lipscope_work_close(void *) {}

}  // extern "C"

#endif
