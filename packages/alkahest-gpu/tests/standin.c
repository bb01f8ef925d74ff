/* A stand-in for libcuda.so.1 where there is no GPU: device memory is the host's, and the test runs the kernels.
   It checks what a driver checks (a current context, addresses, sizes) and fails where it is told to. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { INVALID_VALUE = 1, OUT_OF_MEMORY = 2, NOT_INITIALIZED = 3, NO_DEVICE = 100, INVALID_CONTEXT = 201,
       INVALID_PTX = 218, NOT_FOUND = 500 };
#define BLOCKS 64

typedef int (*Launcher)(int module, const unsigned *grid_and_block, void *stream, void **parameters);
typedef int (*Loader)(const char *ptx, const char *kernel);

static char failing[64];
static int failure, countdown, sticky, stuck, initialized, depth, modules, devices = 1, major = 8, minor = 6;
static char *memory[BLOCKS];
static size_t sizes[BLOCKS];
static Launcher launcher;
static Loader loader;

void standin_reset(Launcher launch, Loader load) {
    memset(failing, 0, sizeof failing);
    stuck = depth = 0;
    devices = 1, major = 8, minor = 6;
    launcher = launch, loader = load;
}
void standin_fail(const char *function, int status, int forever) {
    strncpy(failing, function, sizeof failing - 1);
    failure = status, countdown = 0, sticky = forever;
}
void standin_device(int count, int cc_major, int cc_minor) { devices = count, major = cc_major, minor = cc_minor; }
int standin_allocated(void) {
    int live = 0;
    for (int k = 0; k < BLOCKS; k++) live += memory[k] != 0;
    return live;
}
int standin_depth(void) { return depth; }
int standin_modules(void) { return modules; }

static int enter(const char *function, int needs_context) {
    if (stuck) return failure;
    if (!strcmp(function, failing) && countdown-- == 0) {
        stuck = sticky;
        return failure;
    }
    if (strcmp(function, "cuInit") && !initialized) return NOT_INITIALIZED;
    return needs_context && depth == 0 ? INVALID_CONTEXT : 0;
}
#define ENTER(context) do { int status = enter(__func__, context); if (status) return status; } while (0)

static int inside(uint64_t address, size_t size) {
    for (int k = 0; k < BLOCKS; k++)
        if (memory[k] && address >= (uint64_t)memory[k] && address + size <= (uint64_t)memory[k] + sizes[k]) return 1;
    return 0;
}

int cuInit(unsigned flags) { ENTER(0); initialized = 1; return flags ? INVALID_VALUE : devices ? 0 : NO_DEVICE; }
int cuDeviceGet(int *device, int ordinal) { ENTER(0); *device = ordinal; return ordinal < devices ? 0 : 101; }
int cuDeviceGetName(char *name, int length, int device) { ENTER(0); strncpy(name, "Stand-in", length); return device; }
int cuDeviceGetAttribute(int *value, int attribute, int device) {
    ENTER(0);
    *value = attribute == 16 ? 1 : attribute == 75 ? major : attribute == 76 ? minor : -1;
    return *value < 0 ? INVALID_VALUE : device;
}
int cuDevicePrimaryCtxRetain(void **context, int device) { ENTER(0); *context = &depth; return device; }
int cuCtxPushCurrent_v2(void *context) { ENTER(0); if (context != &depth) return INVALID_CONTEXT; depth++; return 0; }
int cuCtxPopCurrent_v2(void **context) { ENTER(1); *context = &depth; depth--; return 0; }
int cuModuleLoadDataEx(void **module, const char *ptx, unsigned n, int *options, void **values) {
    ENTER(1);
    if (n != 2 || options[0] != 5 || options[1] != 6) return INVALID_VALUE;
    if (!strstr(ptx, ".visible .entry")) {
        strncpy(values[0], "ptxas fatal : no kernel", (size_t)values[1]);
        return INVALID_PTX;
    }
    modules++;
    *module = strdup(ptx);
    return 0;
}
int cuModuleUnload(void *module) { ENTER(1); free(module); modules--; return 0; }
int cuModuleGetFunction(void **function, void *module, const char *name) {
    ENTER(1);
    int handle = loader(module, name);
    *function = (void *)(intptr_t)handle;
    return handle ? 0 : NOT_FOUND;
}
int cuMemAlloc_v2(uint64_t *address, size_t size) {
    ENTER(1);
    for (int k = 0; size && k < BLOCKS; k++)
        if (!memory[k]) {
            memory[k] = aligned_alloc(256, (size + 255) / 256 * 256);
            memset(memory[k], 0xFF, size); /* nan: what is not written shows */
            sizes[k] = size;
            *address = (uint64_t)memory[k];
            return 0;
        }
    return size ? OUT_OF_MEMORY : INVALID_VALUE;
}
int cuMemFree_v2(uint64_t address) {
    ENTER(1);
    for (int k = 0; k < BLOCKS; k++)
        if (memory[k] && (uint64_t)memory[k] == address) {
            free(memory[k]);
            memory[k] = 0;
            return 0;
        }
    return INVALID_VALUE;
}
int cuMemcpyHtoD_v2(uint64_t device, const void *host, size_t size) {
    ENTER(1);
    if (!inside(device, size)) return INVALID_VALUE;
    memcpy((void *)device, host, size);
    return 0;
}
int cuMemcpyDtoH_v2(void *host, uint64_t device, size_t size) {
    ENTER(1);
    if (!inside(device, size)) return INVALID_VALUE;
    memcpy(host, (void *)device, size);
    return 0;
}
int cuLaunchKernel(void *function, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by, unsigned bz,
                   unsigned shared, void *stream, void **parameters, void **extra) {
    ENTER(1);
    unsigned shape[6] = {gx, gy, gz, bx, by, bz};
    if (shared || extra || !gx || !gy || !gz || bx * by * bz > 1024) return INVALID_VALUE;
    return launcher((int)(intptr_t)function, shape, stream, parameters);
}
int cuGetErrorName(int status, const char **name) {
    *name = status == OUT_OF_MEMORY ? "CUDA_ERROR_OUT_OF_MEMORY" : status == NO_DEVICE ? "CUDA_ERROR_NO_DEVICE"
          : status == INVALID_PTX ? "CUDA_ERROR_INVALID_PTX" : 0;
    return *name ? 0 : INVALID_VALUE;
}
int cuGetErrorString(int status, const char **text) {
    *text = status == OUT_OF_MEMORY ? "out of memory" : status == NO_DEVICE ? "no CUDA-capable device is detected"
          : status == INVALID_PTX ? "a PTX JIT compilation failed" : 0;
    return *text ? 0 : INVALID_VALUE;
}
