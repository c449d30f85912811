# Padding that is no zeros, for the module that copies a few planes at a time.

from convlib._ext._native cimport cv_border, cv_frame
from convlib._ext._native_arrays cimport Shaped


cdef const cv_border* border_of(bint doubles) except NULL


cdef class Border(Shaped):
    cdef object kept
    cdef cv_frame frame
    cdef readonly Py_ssize_t nbytes  # of the padded input
    cdef double value

    cdef bint plain(self, object x) noexcept
