# The working memory of a network: kept from call to call, in use by one call at a time.


cdef struct Room:
    # A part of the working memory: where its address goes, and its size in elements.
    real** address
    Py_ssize_t size


cdef inline Room room(real** address, Py_ssize_t size) noexcept:
    cdef Room result
    result.address, result.size = address, panels_of(size) * PANEL  # whole lines of the cache
    return result


@cython.final
cdef class WorkingMemory:
    cdef real* memory
    cdef Py_ssize_t capacity
    cdef bint in_use

    def __dealloc__(self):
        release(self.memory)

    cdef real* acquire_workspace(self, const Room* rooms, int count) except NULL:
        """Memory for all rooms: the network's own, or a new piece while another call has that.

        Return its beginning, for `release_workspace`.
        """
        cdef Py_ssize_t size = 0
        cdef real* memory
        cdef int i
        for i in range(count):
            size += rooms[i].size
        if self.in_use:
            memory = <real*>allocate(size)
        else:
            if size > self.capacity:
                release(self.memory)
                self.memory, self.capacity = NULL, 0
                self.memory = <real*>allocate(size)
                self.capacity = size
            self.in_use = True
            memory = self.memory
        size = 0
        for i in range(count):
            rooms[i].address[0] = memory + size
            size += rooms[i].size
        return memory

    cdef void release_workspace(self, real* memory) noexcept:
        if memory == self.memory:
            self.in_use = False
        else:
            release(memory)
