// stub until the state room lands
#include "state/state.h"
