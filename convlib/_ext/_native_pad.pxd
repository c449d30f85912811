# Padding that is no zeros, for the module that copies a few planes at a time.

from libc.stdint cimport int64_t

from convlib._ext._native_arrays cimport Shaped


cdef struct Frame:
    Py_ssize_t planes, inner  # numbers side by side in each place: channels, if they come last
    Py_ssize_t size[3]
    Py_ssize_t padded[3]
    Py_ssize_t lo[3]
    Py_ssize_t first, run     # of the last axis, the elements from lo on that lie side by side, and the first of them
    const int64_t* source[3]  # the element that stands at each place of a padded axis; -1: the value


cdef void extend_planes(const Frame* f, bint doubles, const void* x, void* to, double value) noexcept nogil


cdef class Border(Shaped):
    cdef object kept
    cdef Frame frame
    cdef readonly Py_ssize_t nbytes  # of the padded input
    cdef double value

    cdef bint plain(self, object x) noexcept
