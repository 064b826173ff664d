"""Loops over documents: leave-one-out scores, posteriors of the true class, and counts of labels.

A document's labels are *votes*: ``pointer`` (n + 1,) delimits those of each document in ``source`` and
``label``. Transition arrays come by label, (source, label, class), so that the inner loop over classes is
contiguous.
"""

import numpy as np
from numba import njit


@njit(cache=True, nogil=True)
def leave_one_out_multinomial(
    indptr, indices, data, length, mass, counts, totals, alpha, tolerance, start, stop, out
):
    """Overwrite ``out[i, k]`` by the score without document ``i`` where that may move it by ``tolerance``.

    Words are the outer loop, for the counts of a word in all classes are neighbours in memory. Factors are
    multiplied, and one logarithm serves up to eight of them.
    """
    p, n_classes = counts.shape
    active = np.empty(n_classes, np.int64)
    score = np.empty(n_classes)
    product = np.empty(n_classes)
    for i in range(start, stop):
        squares = 0.0
        for a in range(indptr[i], indptr[i + 1]):
            squares += data[a] * data[a]
        n_active = 0
        for k in range(n_classes):
            # the score moves by at most the sum of x log(1 + mass x / alpha)
            if mass[i, k] * squares > tolerance * alpha:
                active[n_active] = k
                score[n_active] = 0.0
                product[n_active] = 1.0
                n_active += 1
        factors = 0
        for a in range(indptr[i], indptr[i + 1]):
            x = data[a]
            j = indices[a]
            if x == 1.0:
                for c in range(n_active):
                    k = active[c]
                    product[c] *= max(counts[j, k] - mass[i, k], 0.0) + alpha
                factors += 1
                if factors == 8:
                    for c in range(n_active):
                        score[c] += np.log(product[c])
                        product[c] = 1.0
                    factors = 0
            else:
                for c in range(n_active):
                    k = active[c]
                    score[c] += x * np.log(max(counts[j, k] - mass[i, k] * x, 0.0) + alpha)
        for c in range(n_active):
            k = active[c]
            rest = max(totals[k] - mass[i, k] * length[i], 0.0) + alpha * p
            out[i, k] = score[c] + np.log(product[c]) - length[i] * np.log(rest)


@njit(cache=True, nogil=True)
def leave_one_out_bernoulli(
    indptr,
    indices,
    mass,
    counts,
    totals,
    alpha,
    nodes,
    weights,
    table,
    crowded,
    crowd_start,
    tolerance,
    start,
    stop,
    out,
):
    """Overwrite ``out[i, k]`` by the score without document ``i`` where that may move it by ``tolerance``.

    The sum over absent words is a smooth function of the removed mass, tabulated at ``nodes[k]`` and
    evaluated by barycentric interpolation. Words that nearly every document of the class has are not smooth:
    class ``k`` lists them in ``crowded[crowd_start[k]:crowd_start[k + 1]]`` and they are summed one by one.
    """
    p, n_classes = counts.shape
    n_nodes = nodes.shape[1]
    present = np.full(p, -1, np.int64)
    for i in range(start, stop):
        for a in range(indptr[i], indptr[i + 1]):
            present[indices[a]] = i
        for k in range(n_classes):
            r = mass[i, k]
            if r * (indptr[i + 1] - indptr[i] + 1) <= tolerance * alpha:
                continue
            n = totals[k]
            above = 0.0
            below = 0.0
            exact = -1
            for m in range(n_nodes):
                gap = r - nodes[k, m]
                if gap == 0.0:
                    exact = m
                    break
                above += weights[m] / gap * table[k, m]
                below += weights[m] / gap
            score = table[k, exact] if exact >= 0 else above / below
            absent = 0.0
            for c in range(crowd_start[k], crowd_start[k + 1]):
                j = crowded[c]
                if present[j] != i:
                    absent += np.log(max(n - r - counts[j, k], 0.0) + alpha)
            for a in range(indptr[i], indptr[i + 1]):
                j = indices[a]
                score += np.log(max(counts[j, k] - r, 0.0) + alpha)
                room = n - counts[j, k]
                if room >= crowd_room(nodes[k], n_nodes):
                    score -= np.log(max(n - r - counts[j, k], 0.0) + alpha)
            out[i, k] = score + absent - p * np.log(max(n - r, 0.0) + 2.0 * alpha)


@njit(cache=True, nogil=True)
def crowd_room(nodes, n_nodes):
    """Absences below which a word is crowded: three times the largest removed mass."""
    return 3.0 * nodes[n_nodes - 1]


@njit(cache=True, nogil=True)
def posterior(
    scores, pointer, source, label, log_transition, gold, start, stop, out, with_labels, without_labels
):
    """Posterior of the true class given words and labels, in the log domain.

    ``out`` gets the posterior, ``with_labels`` and ``without_labels`` the log sums over classes of the joint
    with and without the labels: their difference is the log probability of the labels given the words.
    """
    n_classes = scores.shape[1]
    joint = np.empty(n_classes)
    for i in range(start, stop):
        top = -np.inf
        for k in range(n_classes):
            top = max(top, scores[i, k])
        total = 0.0
        for k in range(n_classes):
            total += np.exp(scores[i, k] - top)
        without_labels[i] = top + np.log(total)
        g = gold[i]
        if g >= 0:
            value = scores[i, g]
            for v in range(pointer[i], pointer[i + 1]):
                # A trusted label stands even where the transition says that the given one cannot occur.
                value += max(log_transition[source[v], label[v], g], -690.0)
            for k in range(n_classes):
                out[i, k] = 0.0
            out[i, g] = 1.0
            with_labels[i] = value
            continue
        best = -np.inf
        for k in range(n_classes):
            value = scores[i, k]
            for v in range(pointer[i], pointer[i + 1]):
                value += log_transition[source[v], label[v], k]
            joint[k] = value
            best = max(best, value)
        if best == -np.inf:  # no class can have these labels (a document of weight zero): words decide
            for k in range(n_classes):
                joint[k] = scores[i, k]
            best = top
        total = 0.0
        for k in range(n_classes):
            out[i, k] = np.exp(joint[k] - best)
            total += out[i, k]
        for k in range(n_classes):
            out[i, k] /= total
        with_labels[i] = best + np.log(total)


@njit(cache=True, nogil=True)
def weighted_change(new, old, weight):
    """Sum over documents of the weight times the mean absolute difference of two posteriors (n, K)."""
    n, n_classes = new.shape
    total = 0.0
    for i in range(n):
        change = 0.0
        for k in range(n_classes):
            change += abs(new[i, k] - old[i, k])
        total += weight[i] * change
    return total / n_classes


@njit(cache=True, nogil=True)
def label_step(chance, pointer, source, label, transition, gold, weight, counts, log_probability):
    """One E-step for the transition alone: classes have known probabilities ``chance`` (n, K) without labels.

    Adds expected counts to ``counts`` (source, label, class), and writes the log probability of the labels.
    """
    n, n_classes = chance.shape
    joint = np.empty(n_classes)
    for i in range(n):
        begin, end = pointer[i], pointer[i + 1]
        log_probability[i] = 0.0
        g = gold[i]
        if begin == end and g < 0:
            continue
        if g < 0 and end == begin + 1:  # one label: no need to go through the votes one by one
            given = transition[source[begin], label[begin]]
            total = 0.0
            for k in range(n_classes):
                joint[k] = chance[i, k] * given[k]
                total += joint[k]
            if total > 0.0:
                log_probability[i] = np.log(total)
                share = weight[i] / total
                sums = counts[source[begin], label[begin]]
                for k in range(n_classes):
                    sums[k] += share * joint[k]
                continue
        for k in range(n_classes):
            joint[k] = max(chance[i, k], 1e-200) if g < 0 or g == k else 0.0
        total = 1.0
        for v in range(begin, end):
            total = 0.0
            for k in range(n_classes):
                t = transition[source[v], label[v], k]
                joint[k] *= max(t, 1e-200) if g == k else t
                total += joint[k]
            if total > 0.0:
                log_probability[i] += np.log(total)
                for k in range(n_classes):
                    joint[k] /= total
            else:
                break
        if begin == end:
            log_probability[i] = np.log(joint[g])
            continue
        if total <= 0.0:
            log_probability[i] = -690.0
            continue
        for v in range(begin, end):
            for k in range(n_classes):
                counts[source[v], label[v], k] += weight[i] * joint[k]


@njit(cache=True, nogil=True)
def count_words(indptr, indices, data, mass, start, stop, counts):
    """Add the words of documents ``start`` to ``stop`` to ``counts`` (p, K), divided by ``mass`` (n, K).

    Most documents are of one class beyond doubt: classes without mass are passed over.
    """
    n_classes = mass.shape[1]
    active = np.empty(n_classes, np.int64)
    for i in range(start, stop):
        n_active = 0
        for k in range(n_classes):
            if mass[i, k] > 1e-16:
                active[n_active] = k
                n_active += 1
        for a in range(indptr[i], indptr[i + 1]):
            row = counts[indices[a]]
            for c in range(n_active):
                row[active[c]] += mass[i, active[c]] * data[a]


@njit(cache=True, nogil=True)
def count_labels(mass, pointer, source, label, counts):
    """Add the weighted posteriors ``mass`` (n, K) of every vote to ``counts`` (source, label, class)."""
    n, n_classes = mass.shape
    for i in range(n):
        for v in range(pointer[i], pointer[i + 1]):
            for k in range(n_classes):
                counts[source[v], label[v], k] += mass[i, k]


@njit(cache=True, nogil=True)
def tempered(scores, length, strength, by_length, log_prior, out):
    """Multiply the scores of a document by its strength and add the log prior of the classes."""
    n, n_classes = scores.shape
    for i in range(n):
        factor = strength
        if by_length:
            factor = 1.0 if length[i] <= strength else strength / length[i]
        for k in range(n_classes):
            out[i, k] = factor * scores[i, k] + log_prior[k]
