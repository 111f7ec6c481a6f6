#include "arena/arena.h"
