// SPDX-License-Identifier: Apache-2.0
// The one copy of Boost.Asio's code in a process: kernel and plugins share the thread's call stack and the
// reactor. With a copy in each library a plugin's handlers would find no scheduler.
#include <boost/asio/impl/src.hpp>
