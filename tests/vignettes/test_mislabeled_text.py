"""The notebook runs from top to bottom, and its prose is true of what it prints."""


def after(text, mark):
    return float(text.split(mark)[1].split()[0].rstrip(",;"))


def test_the_story_holds(printed):
    assert after(printed, "worst:") > 0.8
    assert after(printed, "\nAUC") > 0.97
    tempered = after(printed.split("\ntempered")[1], "accuracy")
    drifted = after(printed.split("presence")[1], "accuracy")
    assert tempered > 0.96 > 0.8 > drifted
    assert after(printed.split("presence")[1], "drift z") > 5
    assert after(printed, "without tempering: AUC") < 0.65
    with_words = [float(line.split()[-1]) for line in printed.splitlines() if " raters: " in line]
    assert with_words == sorted(with_words)
