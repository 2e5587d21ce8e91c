// SPDX-License-Identifier: Apache-2.0
// Processes of their own that work on a share of something and tell what they found through a pipe:
// what runs in them may crash without taking the rest with it.
#pragma once
#include <sys/types.h>
#include <cstddef>
#include <functional>

namespace polyquorum::cli {

struct Worker {
  pid_t pid;
  int in;  ///< what it tells; the caller closes it and waits for the process
};

/// Runs work in a new process, with the pipe's writing end; the process ends with 0 when work is done.
/// Throws Refusal if there is no process or pipe to be had. What is in stdio's buffers must be flushed.
Worker startWorker(const std::function<void(int out)>& work);

/// Writes all of it, or as much as the reader takes.
void tellAll(int out, const void* data, std::size_t bytes);

}  // namespace polyquorum::cli
