#pragma once

/// Opens libpq's header; include it after the server's.
extern "C" {
#include "libpq-fe.h"
}
