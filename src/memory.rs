//! Memory that goes back to the system.

/// glibc takes a block above 32 MiB from the system and gives it back when it is dropped. A smaller one can become a hole between
/// what is kept longer, and the first that is dropped makes holes of more of them (mallopt(3), `M_MMAP_THRESHOLD`).
pub(crate) const MAPPED: usize = 33 << 20;

/// A vector with so much in reserve, for what is large for a while. Memory that nothing is written to costs nothing.
pub(crate) fn mapped<T>() -> Vec<T> {
    Vec::with_capacity(MAPPED / size_of::<T>().max(1))
}
