"""The notebook runs from top to bottom, and its prose is true of what it prints."""


def test_the_story_holds(printed):
    assert "day, mean: partition 1 identifies 6 of 7 coefficients" in printed
    table = printed.split("weighted, corrected")[1]

    def cells(split):
        line = next(x for x in table.splitlines() if x.startswith(split))
        return [
            float(x.split("(")[0]) for x in line[len(split) :].split(")") if "(" in x and "refused" not in x
        ]

    mean, weighted, corrected, step = cells("181 at random")
    assert mean > 0.8 and weighted > 0.7 and corrected < 0.5 * weighted and step < 0.02
    mean, weighted, corrected, step = cells("month")
    assert mean > 0.3 and corrected > 0.8 * weighted and step < 0.05
    ratios = printed.split("Q / df")[1]
    by_month = next(x for x in ratios.splitlines() if x.startswith("month")).split()
    by_chance = next(x for x in ratios.splitlines() if x.startswith("60 at random")).split()
    assert float(by_month[1]) > 10 and float(by_month[2]) < 0.1 < float(by_month[3])
    assert 0.8 < float(by_chance[-3]) < 1.3
