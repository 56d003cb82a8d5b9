/* Who belongs to whom, at the least cost: shortest augmenting paths over a sparse table.
 *
 * Rows come in one after the other. Each looks for the nearest column that is free, by Dijkstra's
 * algorithm over costs less the prices of both ends (Jonker and Volgenant 1987, in the form of
 * Crouse 2016), and those on the way give up theirs for another. A row may also stay alone, at a
 * cost of its own; one that does never changes its mind, since more rows only make columns dearer.
 */
#include <float.h>

#include "kernels.h"
#include "workspace.h"

static void lay_out(assignment *work, workspace *space, int rows, int columns)
{
    const size_t height = (size_t)rows, width = (size_t)columns;
    work->row_prices = carve(space, height * sizeof *work->row_prices);
    work->column_prices = carve(space, width * sizeof *work->column_prices);
    work->distances = carve(space, width * sizeof *work->distances);
    work->row_of = carve(space, width * sizeof *work->row_of);
    work->came_from = carve(space, width * sizeof *work->came_from);
    work->reached = carve(space, width * sizeof *work->reached);
    work->place = carve(space, width * sizeof *work->place);
}

size_t assignment_memory(int rows, int columns)
{
    assignment measured;
    workspace space = measured_workspace();
    lay_out(&measured, &space, rows, columns);
    return workspace_size(&space);
}

void assignment_init(assignment *work, int rows, int columns, void *memory)
{
    workspace space = workspace_in(memory);
    lay_out(work, &space, rows, columns);
}

/* The columns in `reached`: first those whose distance is final, then the others. */
typedef struct {
    int32_t final, count;
} search;

static void swap_places(const assignment *work, int32_t a, int32_t b)
{
    const int32_t column = work->reached[a];
    work->reached[a] = work->reached[b];
    work->reached[b] = column;
    work->place[work->reached[a]] = a;
    work->place[work->reached[b]] = b;
}

/* Look at what a row, `distance` away, may have. */
static void look_around(const pair_table *pairs, const assignment *work, search *seen, int32_t row,
                        double distance)
{
    for (int32_t i = pairs->starts[row]; i < pairs->starts[row + 1]; i++) {
        const int32_t column = pairs->columns[i];
        const double there = distance + (double)pairs->costs[i] - work->row_prices[row] -
                             work->column_prices[column];
        if (work->place[column] < 0) {
            work->place[column] = seen->count;
            work->reached[seen->count++] = column;
        } else if (work->place[column] < seen->final || there >= work->distances[column]) {
            continue;
        }
        work->distances[column] = there;
        work->came_from[column] = row;
    }
}

/* The nearest column whose distance is not final yet, brought to the end of those whose is. */
static int32_t nearest(const assignment *work, const search *seen)
{
    int32_t best = seen->final;
    for (int32_t i = seen->final + 1; i < seen->count; i++)
        if (work->distances[work->reached[i]] < work->distances[work->reached[best]])
            best = i;
    swap_places(work, seen->final, best);
    return work->reached[seen->final];
}

static void insert(const pair_table *pairs, float alone, const assignment *work, int32_t newcomer,
                   int32_t *column_of)
{
    search seen = {0, 0};
    double distance = 0.0, least_alone = DBL_MAX;
    int32_t row = newcomer, loner = newcomer, column = -1;
    for (;;) {
        const double there = distance + (double)alone - work->row_prices[row];
        if (there < least_alone) {
            least_alone = there;
            loner = row;
        }
        look_around(pairs, work, &seen, row, distance);
        const int32_t next = seen.final < seen.count ? nearest(work, &seen) : -1;
        if (next < 0 || work->distances[next] >= least_alone) {
            distance = least_alone;
            column = column_of[loner];
            column_of[loner] = -1;
            break;
        }
        distance = work->distances[next];
        if (work->row_of[next] < 0) {
            column = next;
            loner = -1;
            break;
        }
        seen.final++;
        row = work->row_of[next];
    }

    work->row_prices[newcomer] += distance;
    for (int32_t i = 0; i < seen.final; i++) {
        const double less = distance - work->distances[work->reached[i]];
        work->row_prices[work->row_of[work->reached[i]]] += less;
        work->column_prices[work->reached[i]] -= less;
    }
    for (row = loner; row != newcomer;) {
        row = work->came_from[column];
        const int32_t given_up = column_of[row];
        column_of[row] = column;
        work->row_of[column] = row;
        column = given_up;
    }
    for (int32_t i = 0; i < seen.count; i++)
        work->place[work->reached[i]] = -1;
}

void assignment_run(const pair_table *pairs, float alone, assignment *work, int32_t *column_of)
{
    for (int32_t column = 0; column < pairs->width; column++) {
        work->column_prices[column] = 0.0;
        work->row_of[column] = work->place[column] = -1;
    }
    for (int32_t row = 0; row < pairs->rows; row++) {
        work->row_prices[row] = 0.0;
        column_of[row] = -1;
        if (pairs->starts[row] < pairs->starts[row + 1])
            insert(pairs, alone, work, row, column_of);
    }
}
