#include "bind/task.h"

void hold_end_all(struct task *task)
{
    for (struct hold *hold = task->holds, *next; hold; hold = next) {
        next = hold->next;
        if (!hold->ending) {
            hold->ending = true;
            hold->end(hold->thing);
        }
    }
}

void hold_start(lua_State *L, struct hold *hold, void (*end)(void *thing), void *thing)
{
    struct task *task = bind_host(L)->current;
    *hold = (struct hold){.task = task, .end = end, .thing = thing};
    if (!task)
        return; /* made by a finalizer that the loop's own work set off: the collector ends it */
    hold->next = task->holds;
    if (hold->next)
        hold->next->prev = hold;
    task->holds = hold;
}

void hold_release(struct hold *hold)
{
    struct task *task = hold->task;
    if (!task)
        return;
    if (hold->prev)
        hold->prev->next = hold->next;
    else
        task->holds = hold->next;
    if (hold->next)
        hold->next->prev = hold->prev;
    hold->task = NULL;
    task_settle(task);
}
