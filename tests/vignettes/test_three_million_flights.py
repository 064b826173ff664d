"""The notebook runs from top to bottom, and its prose is true of what it prints."""


def test_the_story_holds(printed):
    assert "Logistic regression" in printed and "3,000,000" in printed
    assert "C(origin)[T.ACY]: +inf, its 1 row has the same response (1) and was set aside" in printed
    assert "the response is separated along 'Intercept', 'delay'" in printed
    share = int(printed.split("% of the days lie outside")[0].split()[-1])
    assert share > 50
    assert float(printed.split("largest difference, in standard errors:")[1].split()[0]) < 1e-5
