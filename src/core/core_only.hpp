#pragma once

/// The wall between the core and the server.
///
/// Every header in src/core includes this one. The core is plain C++20 on the
/// standard library, so that it compiles, and is tested, with no PostgreSQL at
/// hand; a PostgreSQL header also redefines names such as snprintf and turns
/// ERROR into a number.
#if defined(POSTGRES_H) || defined(C_H)
#error "src/core must be included before, and never includes, a PostgreSQL header"
#endif

#if __cplusplus < 202002L
#error "Timeshard needs C++20"
#endif
