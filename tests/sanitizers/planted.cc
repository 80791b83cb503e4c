// A fault for the sanitizer of the build to find: that of a program whose exit code nobody looks at makes its test fail all the same
// (ctest sanitizer_finds_planted).
#include <cstdio>
#include <thread>

int main() {
#if __has_feature(thread_sanitizer)
  int count = 0;
  std::thread other([&] { ++count; });
  ++count;
  other.join();
#else
  int* count = new int(0);
  delete count;
  ++*static_cast<volatile int*>(count);
#endif
  std::puts("the planted fault was not found");
}
