#include "shim/serve.h"

#include <stddef.h>
#include <sys/prctl.h>

#include "base/mem.h"
#include "shim/files.h"
#include "shim/step.h"
#include "shim/wire.h"

static bool serve(struct wire_frame *frame)
{
    switch (frame->type) {
    case 'p':
        return wire_send('h', "", 0);
    case 'c':
    case 's':
        return true; /* late, for a program that has ended */
    case 'r':
        return step_serve(frame);
    default:
        return files_serve(frame);
    }
}

int serve_main(void)
{
    struct wire_frame frame = {0};
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    while (wire_take(&frame) && serve(&frame))
        continue;
    mem_wipe(frame.data, frame.len);
    return 0;
}
