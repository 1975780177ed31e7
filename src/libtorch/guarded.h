// Errors of C++ as text for Rust.

#pragma once

#include <c10/util/Exception.h>

#include <cstring>
#include <exception>

// Null, or an error text to be freed by lipscope_free.
template <typename F>
char *guarded(F &&f) {
  try {
    f();
    return nullptr;
  } catch (const c10::Error &error) {
    return strdup(error.what_without_backtrace());
  } catch (const std::exception &error) {
    return strdup(error.what());
  }
}
