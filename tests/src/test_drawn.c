/* test_drawn.c - the maps as they are drawn: no opacity outside the lungs, no specks of lung, no holes of a few cells.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cli/drawn.c" /* the command's own, in no library */

enum { WIDTH = 9, HEIGHT = 7 };

/* A picture of # and . as a map of 1 and 0. */
static void fill(const char *picture, float *map) {
    for (size_t i = 0; i < WIDTH * HEIGHT; i++) map[i] = picture[i] == '#' ? 1.0f : 0.0f;
}

static void assert_smoothed(const char *before, const char *after)
{
    float map[WIDTH * HEIGHT], wanted[WIDTH * HEIGHT];
    fill(before, map);
    fill(after, wanted);
    assert_int_equal(cli_smooth_lungs((struct cxr_map_size){WIDTH, HEIGHT}, 0.5f, map), 0);
    assert_memory_equal(map, wanted, sizeof map);
}

static void test_specks_and_holes(void **state) {
    (void)state;
    const char *before = "##......."
                         "....#####"
                         "....##.##"
                         "#...##..#"
                         "#...##.##"
                         "#...#####"
                         "#........";
    const char *after = "........."
                        "....#####"
                        "....#####"
                        "....#####"
                        "....#####"
                        "....#####"
                        ".........";
    assert_smoothed(before, after);
}

static void test_groups_of_six_stay(void **state) {
    (void)state;
    const char *picture = "###......"
                          "###......"
                          "...######"
                          "...#...##"
                          "...#...##"
                          "...######"
                          "...######";
    assert_smoothed(picture, picture);
}

/* Lungs of four cells, which one cell of the opacity map covers: it and those at its sides are inside. */
static void test_only_inside(void **state) {
    (void)state;
    const uint32_t side = 4;
    for (uint32_t at = 0; at < side * side; at++) {
        const uint32_t x = at % side, y = at / side;
        float lungs[8 * 8] = {0}, opacities[4 * 4];
        for (size_t i = 0; i < 4; i++) lungs[(2 * y + i / 2) * 8 + 2 * x + i % 2] = 0.6f;
        for (size_t i = 0; i < 4 * 4; i++) opacities[i] = 0.25f;
        cli_keep_inside(lungs, 0.5f, (struct cxr_map_size){side, side}, opacities);
        for (uint32_t i = 0; i < side * side; i++) {
            const uint32_t u = i % side, v = i / side;
            const uint32_t away = (u > x ? u - x : x - u) + (v > y ? v - y : y - v);
            assert_true(opacities[i] == (away <= 1 ? 0.25f : 0.0f));
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_specks_and_holes),
        cmocka_unit_test(test_groups_of_six_stay),
        cmocka_unit_test(test_only_inside),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
