// In one file, as reading libtorch's headers takes the compiler longer than anything else here.

#include "extra.cpp"
#include "group.cpp"
#include "stand_in.cpp"
