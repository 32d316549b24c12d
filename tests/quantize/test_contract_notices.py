"""Break a quantizer on purpose, line by line of the acceptance list, and see the line fail."""

import pytest
import torch

from loopyvq.quantize import LoopQuantizer, fit, graph, learning, loop, pull
from loopyvq.quantize.base import Quantizer
from loopyvq.quantize.codebook import Codebook
from loopyvq.quantize.residual import direct
from loopyvq.quantize.scale import RunningScale
from loopyvq.spelling import SPELLINGS, unspell
from loopyvq.tokens import CONTINUE, PAD
from tests.quantize import test_contract as contract


def per_turn_straight_through(monkeypatch):
    monkeypatch.setattr(loop, "straight_through", lambda z_e, z_q: z_q + 6 * (z_e - z_e.detach()))


def trusting_input(monkeypatch):
    monkeypatch.setattr(torch.Tensor, "isfinite", lambda x: torch.ones_like(x, dtype=torch.bool))


def loss_over_all_turns(monkeypatch):
    original = LoopQuantizer._losses

    def diluted(self, latents, settled):
        commitment, codebook_loss = original(self, latents, settled)
        share = (settled.walk.codes != PAD).double().mean().float()
        return commitment * share, codebook_loss * share

    monkeypatch.setattr(LoopQuantizer, "_losses", diluted)


def update_twice(monkeypatch):
    original = Codebook.update

    def twice(self, recent):
        pending = [value.clone() for value in (self.pending_usage, self.pending_mass)]
        sums = self.pending_sums.clone()
        original(self, recent)
        self.pending_usage += pending[0]
        self.pending_mass += pending[1]
        self.pending_sums += sums
        original(self, recent)
        self.updates -= 1

    monkeypatch.setattr(Codebook, "update", twice)


def forgetful_averages(monkeypatch):
    original = Codebook.update

    def forget(self, recent):
        self.decay = 0.0
        original(self, recent)

    monkeypatch.setattr(Codebook, "update", forget)


def learning_evaluation(monkeypatch):
    original = LoopQuantizer.forward

    def forward(self, *args, **options):
        mode = self.training
        result = original(self.train(), *args, **options)
        self.train(mode)
        return result

    monkeypatch.setattr(LoopQuantizer, "forward", forward)


def deaf_freeze(monkeypatch):
    monkeypatch.setattr(LoopQuantizer, "freeze", lambda self: self)


def by_search(search):
    """Walk with another search than the exact one."""

    def walk(latents, codes, gains, sigma, limits, cache=None, first=None):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(direct, "nearest_code", search)
            return direct.direct_walk(latents, gains[:, None, None] * codes, sigma, limits)

    return walk


def second_best_code(monkeypatch):
    def second(vectors, codebook):
        distance = (vectors.double().unsqueeze(1) - codebook.double()).square().sum(dim=2)
        return distance.argsort(dim=1)[:, 1]

    monkeypatch.setattr(loop, "residual_walk", by_search(second))


def bare_float32_search(monkeypatch):
    def search(vectors, codebook):
        vectors = vectors.float()
        return (codebook.square().sum(dim=1) - 2 * vectors @ codebook.T).argmin(dim=1)

    monkeypatch.setattr(loop, "residual_walk", by_search(search))


def last_code_for_pad(monkeypatch):
    original = LoopQuantizer._sum

    def careless(self, codes, dtype):
        return original(self, torch.where(codes == PAD, self.codebook_size - 1, codes), dtype)

    monkeypatch.setattr(LoopQuantizer, "_sum", careless)


def strict_threshold(monkeypatch):
    original = LoopQuantizer._limits

    def strict(self, *args):
        limits = original(self, *args)
        return limits._replace(threshold=limits.threshold * (1 - 1e-9))

    monkeypatch.setattr(LoopQuantizer, "_limits", strict)


def inexact_norm(monkeypatch):
    original = LoopQuantizer.forward

    def forward(self, *args, **options):
        result = original(self, *args, **options)
        return result._replace(residual_norm=result.residual_norm * 1.001)

    monkeypatch.setattr(LoopQuantizer, "forward", forward)


def ignored_mask(monkeypatch):
    original = loop.flatten_sites
    monkeypatch.setattr(loop, "flatten_sites", lambda z_e, mask: original(z_e, None))


def commitment_of_one_turn(monkeypatch):
    original = loop.commitment_and_codebook_loss

    def first_only(latents, codes, steps, ran, count):
        ran = ran & (torch.arange(ran.shape[1]) == 0)
        return original(latents, codes, steps, ran, count)

    monkeypatch.setattr(loop, "commitment_and_codebook_loss", first_only)


def weight_decay(monkeypatch):
    original = LoopQuantizer._losses

    def decayed(self, latents, settled):
        commitment, codebook_loss = original(self, latents, settled)
        return commitment, codebook_loss + 1e-3 * self.codebook.weight.square().sum()

    monkeypatch.setattr(LoopQuantizer, "_losses", decayed)


def edited_input(monkeypatch):
    original = loop.flatten_sites

    def edit(z_e, mask):
        z_e.data.nan_to_num_()
        return original(z_e, mask)

    monkeypatch.setattr(loop, "flatten_sites", edit)


def after_update(change):
    """Change a codebook after each of its updates."""

    def sabotage(monkeypatch):
        original = Codebook.update

        def update(self, recent):
            original(self, recent)
            change(self)

        monkeypatch.setattr(Codebook, "update", update)

    return sabotage


shrinking_codes = after_update(lambda codebook: codebook.weight.mul_(0.99))


def averages_from_nothing(monkeypatch):
    def start(self, mass):
        self.mass.copy_(torch.where(self.mass.sum() == 0, mass, self.mass))

    monkeypatch.setattr(Codebook, "_start_averages", start)


def duplicate_codes(monkeypatch):
    monkeypatch.setattr(fit, "_distinct", lambda codes, latents, generator: codes)


def forgotten_revival(monkeypatch):
    original = Codebook._revive

    def revive(self, recent):
        kept = self.mass.clone(), self.sums.clone()
        original(self, recent)
        self.mass.copy_(kept[0])
        self.sums.copy_(kept[1])

    monkeypatch.setattr(Codebook, "_revive", revive)


def load_that_starts_anew(monkeypatch):
    original = LoopQuantizer.load_state_dict

    def load(self, state):
        original(self, state)
        self.codebook.initialised.fill_(False)

    monkeypatch.setattr(LoopQuantizer, "load_state_dict", load)


def copies_that_share(monkeypatch):
    monkeypatch.setattr(LoopQuantizer, "__deepcopy__", lambda self, memo: self, raising=False)


def update_per_pass(monkeypatch):
    original = LoopQuantizer.learn

    def learn(self, *args):
        self.automatic_update = True
        original(self, *args)

    monkeypatch.setattr(LoopQuantizer, "learn", learn)


def deaf_to_checkpointing(monkeypatch):
    monkeypatch.setattr(learning, "is_recomputation", lambda: False)


def codes_that_move_within_a_pass(monkeypatch):
    def settle(self, latents, limits):
        walk = self.walk(latents, limits)
        self.codebook.weight.mul_(1.01)
        z_q = self._sum(walk.codes, latents.dtype)
        return graph.Settled(walk, z_q, self.sigma.clone(), self.codebook.weight.clone())

    monkeypatch.setattr(LoopQuantizer, "settle", settle)


def mean_of_nothing(monkeypatch):
    original = loop.commitment_and_codebook_loss

    def divided(latents, codes, steps, ran, count):
        commitment, codebook_loss = original(latents, codes, steps, ran, count)
        return commitment * (count / count), codebook_loss

    monkeypatch.setattr(loop, "commitment_and_codebook_loss", divided)


def unbiased_scale(monkeypatch):
    def update(self):
        self.sigma.copy_((self.pending[0] / (self.pending[1] - 1)).sqrt())
        self.pending.zero_()

    monkeypatch.setattr(RunningScale, "update", update)


def nearest_in_float64(vectors, codebook):
    distance = (vectors.double().unsqueeze(1) - codebook.double()).square().sum(dim=2)
    return distance.argmin(dim=1)


def furthest_where(wrong):
    """Search the wrong way round where a condition on the vectors holds."""

    def sabotage(monkeypatch):
        def search(vectors, codebook):
            return nearest_in_float64(-vectors if wrong(vectors) else vectors, codebook)

        monkeypatch.setattr(loop, "residual_walk", by_search(search))

    return sabotage


search_by_batch_size = furthest_where(lambda vectors: len(vectors) > 1)
search_by_threads = furthest_where(lambda _: torch.get_num_threads() > 1)


def ties_to_the_last(monkeypatch):
    def search(vectors, codebook):
        return len(codebook) - 1 - nearest_in_float64(vectors, codebook.flip(0))

    monkeypatch.setattr(loop, "residual_walk", by_search(search))


def other_limits(change):
    """Walk with other limits than were asked for."""

    def sabotage(monkeypatch):
        original = loop.residual_walk

        def walk(latents, codes, gains, sigma, limits, cache=None, first=None):
            return original(latents, codes, gains, sigma, change(limits), cache, first)

        monkeypatch.setattr(loop, "residual_walk", walk)

    return sabotage


def other_threshold(change):
    return other_limits(lambda limits: limits._replace(threshold=change(limits.threshold)))


never_met = other_threshold(lambda threshold: threshold - 1e-9)
upside_down = other_threshold(lambda threshold: 1 / threshold)
the_same_everywhere = other_threshold(lambda threshold: threshold[:1].expand_as(threshold))
codes_in_any_case = other_limits(lambda limits: limits._replace(dummies=False))
greedier_when_far = other_limits(
    lambda limits: limits._replace(min_gain=0.9 * float(limits.threshold.max() > 0))
)


def rounded_halves(monkeypatch):
    original = loop.flatten_sites

    def rounded(z_e, mask):
        rows, valid = original(z_e, mask)
        coarse = rows.to(torch.float8_e5m2).float()
        return coarse if z_e.dtype == torch.float16 else rows, valid

    monkeypatch.setattr(loop, "flatten_sites", rounded)


def state_in_half_precision(monkeypatch):
    monkeypatch.setattr(Quantizer, "_apply", torch.nn.Module._apply)


def other_decoder(change_codes, factor=1.0):
    """Decode other codes than were given, and scale the result."""

    def sabotage(monkeypatch):
        original = LoopQuantizer.decode

        def decode(self, tokens):
            return factor * original(self, tokens._replace(codes=change_codes(tokens.codes)))

        monkeypatch.setattr(LoopQuantizer, "decode", decode)

    return sabotage


inexact_decoder = other_decoder(lambda codes: codes, 1 + 1e-6)
forgiving_decoder = other_decoder(lambda codes: codes.clamp(CONTINUE, contract.SIZE - 1))


def lossy_spelling(monkeypatch):
    def without_dummies(*args):
        tokens = unspell_exactly(*args)
        return tokens._replace(codes=torch.where(tokens.codes == CONTINUE, 0, tokens.codes))

    unspell_exactly = unspell
    monkeypatch.setattr(contract, "unspell", without_dummies)


@pytest.mark.parametrize(
    ("sabotage", "line", "arguments"),
    [
        (per_turn_straight_through, contract.test_g1_gradient_is_identity, ()),
        (ignored_mask, contract.test_g2_masked_positions_have_zero_gradient, ()),
        (loss_over_all_turns, contract.test_g3_turns_that_did_not_run_add_nothing, ()),
        (
            commitment_of_one_turn,
            contract.test_g4_every_turn_that_ran_gets_a_commitment_gradient,
            (),
        ),
        (weight_decay, contract.test_g5_used_codes_get_a_gradient_and_unused_ones_none, ()),
        (
            loss_over_all_turns,
            contract.test_g6_the_loss_is_the_same_with_padding_and_masked_rows,
            (),
        ),
        (loss_over_all_turns, contract.test_g6_the_loss_is_the_same_with_a_larger_max_depth, ()),
        (edited_input, contract.test_g7_nothing_is_edited_in_place, ("ema",)),
        (update_twice, contract.test_s1_averages_are_no_parameters_and_move_once_per_step, ()),
        (
            shrinking_codes,
            contract.test_s1_a_codebook_of_the_optimizer_is_moved_by_nothing_else,
            (),
        ),
        (averages_from_nothing, contract.test_s2_the_first_average_does_not_undo_the_start, ()),
        (
            duplicate_codes,
            contract.test_s3_fewer_samples_than_codes_give_no_duplicate_codes,
            (contract.latents(5),),
        ),
        (forgotten_revival, contract.test_s4_a_revived_code_stays, ()),
        (ignored_mask, contract.test_s4_masked_sites_are_never_sampled, ()),
        (forgetful_averages, contract.test_s5_codes_set_by_the_user_stay, ("skewed", 0.5)),
        (learning_evaluation, contract.test_s6_evaluation_changes_nothing, (contract.make,)),
        (deaf_freeze, contract.test_s7_freeze_stops_all_learning, (contract.fitted, "ema")),
        (load_that_starts_anew, contract.test_s8_a_loaded_state_is_initialised, ()),
        (copies_that_share, contract.test_s8_a_copy_is_independent, ()),
        (update_per_pass, contract.test_s9_accumulated_passes_make_one_update, ()),
        (deaf_to_checkpointing, contract.test_s9_activation_checkpointing_makes_one_update, ()),
        (
            codes_that_move_within_a_pass,
            contract.test_s10_all_turns_use_one_version_of_the_codebook,
            (),
        ),
        (
            trusting_input,
            contract.test_s11_a_row_that_is_not_finite_disturbs_nothing,
            (torch.inf, contract.fitted),
        ),
        (
            mean_of_nothing,
            contract.test_s12_no_valid_site_changes_nothing,
            (contract.fitted, (0, contract.WIDTH)),
        ),
        (unbiased_scale, contract.test_s12_the_smallest_sizes_work, (1, 16, 4)),
        (search_by_threads, contract.test_n1_codes_do_not_depend_on_the_number_of_threads, ()),
        (ties_to_the_last, contract.test_n2_exact_ties_give_the_lowest_index, ()),
        (second_best_code, contract.test_n3_codes_equal_a_greedy_search_in_float64, (0.0, 1.0)),
        (bare_float32_search, contract.test_n3_codes_equal_a_greedy_search_in_float64, (1e4, 1.0)),
        (
            bare_float32_search,
            contract.test_n3_one_turn_equals_an_exhaustive_search_among_crowded_codes,
            (1e4, 1.0),
        ),
        (bare_float32_search, contract.test_n4_float64_is_searched_in_float64, ()),
        (inexact_norm, contract.test_n5_the_residual_norm_is_the_true_one, (0.0,)),
        (search_by_batch_size, contract.test_n6_dropping_finished_vectors_changes_no_code, ()),
        (greedier_when_far, contract.test_n6_codes_are_a_prefix_of_those_at_threshold_zero, ()),
        (strict_threshold, contract.test_n7_a_vector_at_the_threshold_is_close_enough, ()),
        (upside_down, contract.test_n7_lengths_never_rise_with_the_threshold, ()),
        (the_same_everywhere, contract.test_n7_a_threshold_per_site_is_that_of_its_site, ()),
        (never_met, contract.test_n7_a_vector_that_is_a_code_stops_at_once, ()),
        (
            codes_in_any_case,
            contract.test_n8_a_turn_that_does_not_help_emits_continue_and_adds_nothing,
            (),
        ),
        (codes_in_any_case, contract.test_n8_the_error_never_rises_from_turn_to_turn, ()),
        (
            rounded_halves,
            contract.test_n9_half_precision_gives_the_codes_of_float32,
            (torch.float16,),
        ),
        (
            state_in_half_precision,
            contract.test_n9_state_stays_float32_in_a_half_precision_model,
            (torch.bfloat16, "ema"),
        ),
        (inexact_decoder, contract.test_r1_decoding_gives_z_q_in_evaluation, ()),
        (
            inexact_decoder,
            contract.test_r1_decoding_gives_z_q_in_training_until_the_codes_are_updated,
            (),
        ),
        (last_code_for_pad, contract.test_r2_any_prefix_decodes, ()),
        (codes_in_any_case, contract.test_r2_the_error_does_not_rise_with_the_prefix, ()),
        (last_code_for_pad, contract.test_r3_pad_decodes_to_zero, ()),
        (
            forgiving_decoder,
            contract.test_r3_an_index_out_of_range_is_a_value_error,
            (contract.SIZE,),
        ),
        *(
            (lossy_spelling, contract.test_r4_every_spelling_inverts_exactly, (each,))
            for each in SPELLINGS
        ),
    ],
)
def test_a_broken_quantizer_is_noticed(monkeypatch, sabotage, line, arguments):
    contract._fitted_once.cache_clear()
    try:
        sabotage(monkeypatch)
        with pytest.raises((AssertionError, pytest.fail.Exception)):
            line("loop", *arguments)
    finally:
        contract._fitted_once.cache_clear()


def test_a_search_that_depends_on_the_batch_is_noticed(monkeypatch):
    search_by_batch_size(monkeypatch)
    with pytest.raises(AssertionError):
        contract.test_n1_codes_do_not_depend_on_how_the_search_is_run("loop", monkeypatch)


# What every process of a line runs first, to break the quantizer in it.
IN_EVERY_PROCESS = {
    "sums of one rank": """
from loopyvq.quantize import codebook
codebook.sum_over_ranks = lambda values: values
""",
    "seeds of one rank": """
import torch
from loopyvq.quantize.codebook import Codebook
revive = Codebook._revive
Codebook._revive = lambda self, recent: (
    revive(self, recent), self.weight[0].copy_(torch.randn_like(self.weight[0]))
)
""",
    "no loss without a turn": """
from loopyvq.quantize import LoopQuantizer
losses = LoopQuantizer._losses
LoopQuantizer._losses = lambda self, latents, settled: (
    losses(self, latents, settled) if (settled.walk.codes >= 0).any()
    else (latents.new_zeros(()), latents.new_zeros(()))
)
""",
    "always together": """
import torch
from loopyvq.ops.distributed import sum_over_ranks
from loopyvq.quantize import LoopQuantizer
losses = LoopQuantizer._losses
LoopQuantizer._losses = lambda *args: (sum_over_ranks(torch.ones(())), losses(*args))[1]
""",
    "mean of one rank": """
from loopyvq.quantize import loop
loop.mean_over_ranks = lambda values: values
""",
    "a graph with a break": """
from loopyvq.quantize import graph
graph._is_traced = lambda: False
""",
    "another dense search": """
from loopyvq.quantize.residual import dense
nearest = dense._nearest
dense._nearest = lambda vectors, codes: (nearest(vectors, codes) + 1) % len(codes)
""",
    "large blocks": """
from loopyvq.ops import nearest
from loopyvq.quantize.residual import backends
backends.has_numba = lambda: False
nearest._SCORES_PER_BLOCK = 1 << 28
""",
}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("sabotage", "line", "arguments"),
    [
        ("sums of one rank", contract.test_d1_ranks_stay_bit_equal, ("uneven",)),
        ("seeds of one rank", contract.test_d2_ranks_with_different_seeds_stay_bit_equal, ()),
        ("no loss without a turn", contract.test_d3_every_mix_of_lengths_trains_in_parallel, ()),
        ("always together", contract.test_d4_evaluation_on_one_rank_issues_no_collective, ()),
        ("mean of one rank", contract.test_d5_the_gradient_is_that_of_the_joined_batch, ()),
        (
            "a graph with a break",
            contract.test_e1_a_compiled_graph_without_breaks_gives_the_same,
            ("ema",),
        ),
        ("another dense search", contract.test_e2_an_exported_program_takes_any_batch, ()),
        ("another dense search", contract.test_e3_onnx_gives_the_same_codes, ()),
        ("large blocks", contract.test_e5_at_most_one_byte_per_pair_of_vector_and_code, ()),
    ],
)
def test_a_quantizer_that_is_broken_in_every_process_is_noticed(
    monkeypatch, tmp_path, sabotage, line, arguments
):
    (tmp_path / "sitecustomize.py").write_text(IN_EVERY_PROCESS[sabotage])
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with pytest.raises(AssertionError):
        line("loop", *arguments)


def test_a_broken_pull_is_noticed(monkeypatch, literal_pull):
    count = pull.pull_count
    monkeypatch.setattr(pull, "pull_count", lambda *args: count(*args) + 1)
    with pytest.raises(AssertionError):
        contract.test_r5_the_formula_equals_the_literal_loop("pull", literal_pull, 0.5)
