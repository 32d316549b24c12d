"""Vector instructions for compiled kernels, where the compiler does not find them by itself.

Each is an LLVM loop over blocks of `BLOCK` float32 values at an address, in registers of 16 values
that LLVM splits for machines with narrower ones. Rows must be padded to whole blocks. Needs numba.
"""

from typing import Any, no_type_check

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

__all__ = ["BLOCK", "blend_least", "hits", "least", "lowest_bit", "num_hits", "shift_least"]

_LANES = 16
_UNROLL = 4
BLOCK = _LANES * _UNROLL

_VECTOR = ir.VectorType(ir.FloatType(), _LANES)
_WORD, _INDEX = ir.IntType(64), ir.IntType(32)
_INFINITY = ir.Constant(_VECTOR, [float("inf")] * _LANES)
_CONTRACT = ("contract",)


def _splat(build: Any, value: Any) -> Any:
    undefined = ir.Constant(_VECTOR, ir.Undefined)
    first = build.insert_element(undefined, value, _INDEX(0))
    zeros = ir.Constant(ir.VectorType(_INDEX, _LANES), [0] * _LANES)
    return build.shuffle_vector(first, undefined, zeros)


def _smaller(build: Any, left: Any, right: Any) -> Any:
    return build.select(build.fcmp_ordered("<", left, right), left, right)


def _least_lane(build: Any, vector: Any) -> Any:
    lanes = _LANES
    while lanes > 1:
        lanes //= 2
        turned = [(lane + lanes) % _LANES for lane in range(_LANES)]
        order = ir.Constant(ir.VectorType(_INDEX, _LANES), turned)
        other = build.shuffle_vector(vector, ir.Constant(_VECTOR, ir.Undefined), order)
        vector = _smaller(build, vector, other)
    return build.extract_element(vector, _INDEX(0))


def _at(build: Any, address: Any, offset: Any) -> Any:
    return build.inttoptr(build.add(address, offset), ir.PointerType(_VECTOR))


def _load(build: Any, address: Any, offset: Any) -> Any:
    return build.load(_at(build, address, offset), align=4)


def _add_product(build: Any, total: Any, factor: Any, values: Any) -> Any:
    product = build.fmul(factor, values, flags=_CONTRACT)
    return build.fadd(total, product, flags=_CONTRACT)


def _fold_blocks(build: Any, blocks: Any, value_at: Any) -> Any:
    """Emit a loop over all vectors and give the least value that ``value_at(offset)`` made."""
    best = [cgutils.alloca_once_value(build, _INFINITY) for _ in range(_UNROLL)]
    with cgutils.for_range(build, blocks) as loop:
        start = build.mul(loop.index, _WORD(4 * BLOCK))
        for part in range(_UNROLL):
            value = value_at(build.add(start, _WORD(4 * _LANES * part)))
            build.store(_smaller(build, value, build.load(best[part])), best[part])
    least_of_all = build.load(best[0])
    for part in range(1, _UNROLL):
        least_of_all = _smaller(build, least_of_all, build.load(best[part]))
    return _least_lane(build, least_of_all)


def _bits_of_block(build: Any, start: Any, limits: Any, value_at: Any) -> Any:
    """Emit one bit per value of a block: whether it is at most the limit."""
    bits = _WORD(0)
    for part in range(_UNROLL):
        value = value_at(build.add(start, _WORD(4 * _LANES * part)))
        mask = build.bitcast(build.fcmp_ordered("<=", value, limits), ir.IntType(_LANES))
        bits = build.or_(bits, build.shl(build.zext(mask, _WORD), _WORD(_LANES * part)))
    return bits


def _priced(build: Any, scores: Any, prices: Any, weight: Any) -> Any:
    """Give what emits ``scores + weight * prices`` of the values at an offset."""
    weights = _splat(build, weight)

    def priced(offset: Any) -> Any:
        price = _load(build, prices, offset)
        return _add_product(build, _load(build, scores, offset), weights, price)

    return priced


@intrinsic
@no_type_check
def least(typing, scores, blocks):
    """Give the least of the scores."""

    def emit(context, build, signature, arguments):
        scores, blocks = arguments
        return _fold_blocks(build, blocks, lambda offset: _load(build, scores, offset))

    return types.float32(types.intp, types.intp), emit


@intrinsic
@no_type_check
def shift_least(typing, target, source, row, drift, step, change, blocks):
    """Write ``target = source + step * row + change * drift`` and give the least of it."""

    def emit(context, build, signature, arguments):
        target, source, row, drift, step, change, blocks = arguments
        steps, changes = _splat(build, step), _splat(build, change)

        def shifted(offset):
            value = _add_product(
                build, _load(build, source, offset), steps, _load(build, row, offset)
            )
            value = _add_product(build, value, changes, _load(build, drift, offset))
            build.store(value, _at(build, target, offset), align=4)
            return value

        return _fold_blocks(build, blocks, shifted)

    pointers = (types.intp,) * 4
    return types.float32(*pointers, types.float32, types.float32, types.intp), emit


@intrinsic
@no_type_check
def blend_least(typing, scores, prices, weight, blocks):
    """Give the least of ``scores + weight * prices``; write nothing."""

    def emit(context, build, signature, arguments):
        *priced, blocks = arguments
        return _fold_blocks(build, blocks, _priced(build, *priced))

    return types.float32(types.intp, types.intp, types.float32, types.intp), emit


@intrinsic
@no_type_check
def hits(typing, scores, prices, weight, limit):
    """Tell which of one block's ``scores + weight * prices`` are at most a limit, as bits."""

    def emit(context, build, signature, arguments):
        *priced, limit = arguments
        value_at = _priced(build, *priced)
        return _bits_of_block(build, _WORD(0), _splat(build, limit), value_at)

    return types.uint64(types.intp, types.intp, types.float32, types.float32), emit


@intrinsic
@no_type_check
def num_hits(typing, scores, limit, blocks):
    """Count the scores that are at most a limit, and give the index of the first, or -1."""
    pair = types.UniTuple(types.int64, 2)

    def emit(context, build, signature, arguments):
        scores, limit, blocks = arguments
        limits = _splat(build, limit)
        count = cgutils.alloca_once_value(build, _WORD(0))
        first = cgutils.alloca_once_value(build, _WORD(-1))
        with cgutils.for_range(build, blocks) as loop:
            start = build.mul(loop.index, _WORD(4 * BLOCK))
            bits = _bits_of_block(build, start, limits, lambda at: _load(build, scores, at))
            build.store(build.add(build.load(count), build.ctpop(bits)), count)
            lowest = build.cttz(bits, ir.Constant(ir.IntType(1), 0))
            index = build.add(build.mul(loop.index, _WORD(BLOCK)), lowest)
            is_first = build.and_(
                build.icmp_unsigned("!=", bits, _WORD(0)),
                build.icmp_signed("<", build.load(first), _WORD(0)),
            )
            build.store(build.select(is_first, index, build.load(first)), first)
        return context.make_tuple(build, pair, [build.load(count), build.load(first)])

    return pair(types.intp, types.float32, types.intp), emit


@intrinsic
@no_type_check
def lowest_bit(typing, bits):
    """Give the index of the lowest bit that is set; 64 where none is."""

    def emit(context, build, signature, arguments):
        return build.cttz(arguments[0], ir.Constant(ir.IntType(1), 0))

    return types.int64(types.uint64), emit
