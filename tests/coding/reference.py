"""A second coder, written from docs/bitstream.md in Python's whole numbers: slow and plain."""

from math import isqrt

AROUND = [(-1, -1), (-1, 0), (-1, 1), (0, -1), (0, 1), (1, -1), (1, 0), (1, 1)]


def encode(symbols, frequencies):
    low, width, num_bits = 0, (1 << 64) - 1, 64
    for symbol, row in zip(symbols, frequencies, strict=True):
        unit = width >> 24
        low += unit * sum(row[:symbol])
        width = unit * row[symbol]
        if width < 1 << 32:
            low, width, num_bits = low << 32, width << 32, num_bits + 32
    if not len(symbols):
        return b""
    for dropped in range(64, -1, -8):
        point = -(-low >> dropped)
        if point << dropped < low + width:
            break
    return point.to_bytes((num_bits - dropped) // 8, "big").rstrip(b"\0")


class Decoder:
    def __init__(self, data):
        self.bytes = iter(data)
        self.width = (1 << 64) - 1
        # What lies between the encoder's `low` and the number that the bytes spell.
        self.point = (self.word() << 32) + self.word()

    def word(self):
        return int.from_bytes(bytes(next(self.bytes, 0) for _ in range(4)), "big")

    def symbol(self, row):
        if len(row) == 1:
            return 0
        unit = self.width >> 24
        symbol, left = 0, 0
        while left + row[symbol] <= self.point // unit:
            left += row[symbol]
            symbol += 1
        self.point, self.width = self.point - unit * left, unit * row[symbol]
        if self.width < 1 << 32:
            self.point, self.width = (self.point << 32) + self.word(), self.width << 32
        return symbol


def frequencies_of(weights):
    free = (1 << 24) - len(weights)
    reciprocal = (free << 24) // sum(weights)
    frequencies = [(weight * reciprocal >> 24) + 1 for weight in weights]
    frequencies[weights.index(max(weights))] += (1 << 24) - sum(frequencies)
    return frequencies


def with_stop(weights, share):
    return frequencies_of([v * (255 - share) for v in weights] + [share * sum(weights)])


def counts_of(size, table=None):
    if table is None:
        return [8] * size
    return [1 + weight * 4096 // sum(table) for weight in table]


def decode_tokens(pieces, height, width, depth, size, mode, tables=None):
    """Return a list of tokens for every site, -2 being a dummy."""
    sites = {(y, x): [] for y in range(height) for x in range(width)}
    active = list(sites)
    model = (
        NetworkState(height, width, depth, size, tables) if mode == "context" and tables else None
    )
    for turn, piece in enumerate(pieces):
        share, decoder = piece[0], Decoder(piece[1:])
        table = None
        if tables:
            table = tables["weights"][turn][sum(share >= start for start in (32, 96, 176))]
        if mode == "static":
            row = with_stop(table, share)
            symbols = {site: decoder.symbol(row) for site in active}
        elif mode == "adaptive":
            symbols = decode_adaptive(decoder, active, counts_of(size + 1, table), share)
        elif tables:
            symbols = model.decode_turn(decoder, active, turn, share)
        else:
            symbols = decode_learning(decoder, active, turn, share, size, (height, width))
        active = [site for site in active if symbols[site] != size + 1]
        for site in active:
            sites[site].append(-2 if symbols[site] == size else symbols[site])
    return sites


def decode_adaptive(decoder, active, counts, share):
    symbols, start = {}, 0
    while start < len(active):
        block = active[start : start + max(16, start // 8)]
        row = with_stop(counts, share)
        for site in block:
            symbols[site] = decoder.symbol(row)
        for site in block:
            if symbols[site] < len(counts):
                counts[symbols[site]] += 16
        start += len(block)
    return symbols


def batches(active, turn):
    stride = 8 if turn == 0 else 2
    phases = [(0, 0, stride, stride if turn == 0 else 1)]
    while stride > 1:
        half = stride // 2
        phases += [(y, x, stride, half) for y, x in ((half, half), (0, half), (half, 0))]
        stride = half
    for phase, (first_y, first_x, stride, distance) in enumerate(phases):
        chosen = [
            (y, x)
            for y, x in active
            if y >= first_y
            and x >= first_x
            and (y - first_y) % stride == 0
            and (x - first_x) % stride == 0
        ]
        for start in range(0, len(chosen), 128):
            yield phase, distance, chosen[start : start + 128]


def decode_learning(decoder, active, turn, share, size, shape):
    stop_counts = [[(255 - share) * 2 // 255 + 1, share * 2 // 255 + 1] for _ in range(81)]
    counts = counts_of(size + 1)
    known = {(y, x): 1 for y in range(shape[0]) for x in range(shape[1])}
    known.update(dict.fromkeys(active, 0))
    symbols = {}
    for _, far, batch in batches(active, turn):
        contexts = [
            sum(known.get((y + far * down, x + far * right), 0) for down, right in AROUND)
            for y, x in batch
        ]
        rows = [frequencies_of(stop_counts[context]) for context in contexts]
        stops = [decoder.symbol(row) for row in rows]
        for site, context, stop in zip(batch, contexts, stops, strict=True):
            stop_counts[context][stop] += 2
            known[site] = 1 if stop else 9
            symbols[site] = size + 1
        row = frequencies_of(counts)
        going = [site for site, stop in zip(batch, stops, strict=True) if not stop]
        for site in going:
            symbols[site] = decoder.symbol(row)
        for site in going:
            counts[symbols[site]] += 16
    return symbols


class NetworkState:
    def __init__(self, height, width, depth, size, tables):
        self.tables, self.depth, self.size = tables, depth, size
        self.d = len(tables["codebook"][0])
        sites = [(y, x) for y in range(height) for x in range(width)]
        self.sums = {site: [0] * self.d for site in sites}
        self.facts = {site: [0] * (self.d + 1) + [64, 0, 0, 0] for site in sites}
        self.latest = {site: [size, size] for site in sites}

    def code(self, symbol):
        return self.tables["codebook"][symbol] if symbol < self.size else [0] * self.d

    def decode_turn(self, decoder, active, turn, share):
        for facts in self.facts.values():
            facts[self.d + 2] = 0
        came, expected, symbols = [0] * (self.size + 2), [0] * (self.size + 2), {}
        for phase, far, batch in batches(active, turn):
            ratios = [
                min(max((c + 12288 << 12) // (e + 12288), 1), 1 << 20)
                for c, e in zip(came, expected, strict=True)
            ]
            rows = [self.frequencies(site, turn, phase, far, share, ratios) for site in batch]
            for site, row in zip(batch, rows, strict=True):
                symbols[site] = decoder.symbol(row)
                came[symbols[site]] += 4096
            for i, ratio in enumerate(ratios):
                expected[i] += sum(row[i] for row in rows) // ratio
            for site in batch:
                self.reveal(site, symbols[site], turn)
        return symbols

    def frequencies(self, site, turn, phase, far, share, ratios):
        values = self.features(site, phase, far, share)
        for index, name in enumerate(("first", "second", "last")):
            shift = self.tables[f"turn{turn}.shifts"][index]
            weights = self.tables[f"turn{turn}.{name}.weights"]
            biases = self.tables[f"turn{turn}.{name}.bias"]
            values = [
                sum(w * x for w, x in zip(row, values, strict=True)) + bias + (1 << shift) // 2
                >> shift
                for row, bias in zip(weights, biases, strict=True)
            ]
            if name != "last":
                values = [min(max(value, 0), 255) for value in values]
        weights = []
        for value in values:
            root = 1 << 20 * 256 - min(max(values) - value, 5119)
            for _ in range(8):
                root = isqrt(root)
            weights.append(root)
        return frequencies_of([u * ratio >> 12 for u, ratio in zip(weights, ratios, strict=True)])

    def features(self, site, phase, far, share):
        outside, values = [0] * (self.d + 5), []
        for down, right in AROUND:
            values += self.facts.get((site[0] + far * down, site[1] + far * right), outside)
        values += self.facts[site][: self.d + 1]
        for symbol in self.latest[site]:
            values += [number >> 4 for number in self.code(symbol)]
        logs = [((number**16).bit_length() - 1) for number in (share + 1, 256 - share)]
        return values + [share // 4, *logs] + [64 * (phase == other) for other in range(10)]

    def reveal(self, site, symbol, turn):
        gain = self.tables["gains"][turn]
        sums = self.sums[site]
        sums[:] = [s + gain * number for s, number in zip(sums, self.code(symbol), strict=True)]
        vector = [min(max(s >> 12, -511), 511) for s in sums]
        norm = isqrt(sum(number * number for number in vector)) // 2
        stopped = symbol == self.size + 1
        tokens = self.facts[site][-1] if stopped else 64 * (turn + 1) // self.depth
        self.facts[site] = [*vector, norm, 64, 64, 64 * stopped, tokens]
        self.latest[site] = [symbol, self.latest[site][0]]
