#pragma once

#include "claim.hpp"
#include "disk.hpp"
#include "generator.hpp"
#include "layout.hpp"
#include "mark_record.hpp"
#include "patience.hpp"
#include "window.hpp"
#include "wrong_clock.hpp"

#include <algorithm>
#include <atomic>
#include <cstdint>

/// One server of the fleet: the core's generator, reservation and patience, put
/// together as src/server does it, with a disk that keeps the mark's two slots.
namespace timeshard::fleet {

/// timeshard.max_clock_wait, its default.
inline constexpr std::int64_t kMaxClockWaitMs = 100;

/// What a server has gone through.
struct Tally
{
    std::int64_t sequence_waits = 0; ///< calls that found a millisecond used up
    std::int64_t clock_waits = 0;    ///< calls that waited for a clock that was behind
    std::int64_t floor_waits = 0;    ///< the same after a restart
    std::int64_t refusals = 0;
    std::int64_t floor_refusals = 0;
    std::int64_t claim_refusals = 0; ///< no claim is held
    std::int64_t extensions = 0;
    std::int64_t crashes = 0;
    std::int64_t torn_writes = 0; ///< crashes in the middle of a write of the mark

    void Add(const Tally &other)
    {
        sequence_waits += other.sequence_waits;
        clock_waits += other.clock_waits;
        floor_waits += other.floor_waits;
        refusals += other.refusals;
        floor_refusals += other.floor_refusals;
        claim_refusals += other.claim_refusals;
        extensions += other.extensions;
        crashes += other.crashes;
        torn_writes += other.torn_writes;
    }
};

/// Where a crash finds the session that writes the mark.
enum class Cut : std::uint8_t { kNever, kBeforeWrite, kInWrite, kAfterSync, kBeforeCopy };

enum class Outcome : std::uint8_t { kIssued, kWaits, kRefused, kCrashed };

/// An atomic word that a clone of a machine's memory has too.
struct Word : std::atomic<std::uint64_t>
{
    Word() : atomic(0) {}
    Word(const Word &other) : atomic(other.load()) {}
    Word &operator=(const Word &other)
    {
        store(other.load());
        return *this;
    }
};

class Server
{
public:
    Server(Layout layout, std::int32_t node_id, WrongClock clock)
        : clock(clock), layout_(layout), node_id_(node_id)
    {}

    /// The end of the claim of its number. A number that is configured has no end.
    std::int64_t claim_end = kMaxOffset + 1;

    bool HoldsNumber() const { return clock.Offset() < claim_end; }

    /// Changes over to a new claim, as AdoptClaim() of src/server does.
    void Adopt(const ClaimedInterval &claim)
    {
        LiftToFloor(word_, FloorOfSwitch(mark_.end, claim.floor));
        node_id_ = claim.number;
        claim_end = claim.end;
    }

    /// IDs may have been issued in offsets below.
    std::int64_t MarkEnd() const { return mark_.end; }

    WrongClock clock;
    Disk disk;
    Tally tally;
    Cut cut = Cut::kNever;   ///< the next extension of the reservation ends in a crash
    bool is_cut_off = false; ///< whoever extended it is stopped, while the others go on

    /// What a successful attempt has issued: `first_id` and those after it.
    std::int64_t first_id = 0;
    std::int32_t issued = 0;
    std::int64_t gap_ns = 0; ///< how long to wait, when it waits

    /// One attempt of a call for up to `wanted` IDs; a call that waits is
    /// continued by the next.
    Outcome Attempt(std::int64_t now_ns, std::int32_t wanted)
    {
        if (!floor_taken_ && !TakeFloor())
            return Refuse(&tally.floor_refusals);
        Step step = Take(renew_at_, wanted);
        if (step.status == Status::kUnreserved) {
            if (!HoldsNumber())
                return Refuse(&tally.claim_refusals);
            if (!Extend())
                return Crash();
            step = Take(end_, wanted);
        }
        if (step.status == Status::kIssued) {
            waiting_ = false;
            first_id = static_cast<std::int64_t>(FirstOf(step) | layout_.NodeField(node_id_));
            issued = static_cast<std::int32_t>(step.word - FirstOf(step)) + 1;
            return Outcome::kIssued;
        }
        gap_ns = kMs;
        if (step.status == Status::kUnreserved)
            return Outcome::kWaits; // for whoever has been stopped
        if (!waiting_)
            patience_ = Patience(kMaxClockWaitMs, kMinWindowMs);
        if (!patience_.ShouldWait(step, now_ns, now_ns))
            return Refuse(IsFloor(step.word) ? &tally.floor_refusals : &tally.refusals);
        if (!waiting_)
            CountWait(step);
        waiting_ = true;
        gap_ns = std::min(step.gap_ns, 20 * kMs); // it looks again: the clock may be set right
        return Outcome::kWaits;
    }

    /// A session was killed: the memory is made anew, and the postmaster carries over the
    /// claim and the mark's end.
    void CrashSession(std::int64_t claim_floor)
    {
        const std::int64_t mark_end = mark_.end;
        Crash();
        mark_.end = mark_end;
        LiftToFloor(word_, FloorOfSwitch(mark_end, claim_floor));
    }

    /// All that is in memory is gone.
    Outcome Crash()
    {
        word_.store(0);
        floor_taken_ = waiting_ = false;
        renew_at_ = end_ = 0;
        mark_ = MarkRecord{};
        cut = Cut::kNever;
        is_cut_off = false;
        tally.crashes++;
        return Outcome::kCrashed;
    }

    /// For the planted fault of a generator that starts its millisecond over.
    void ResetSequence() { word_.store(WordAt(OffsetOf(word_.load()))); }

private:
    Step Take(std::int64_t limit, std::int32_t wanted)
    {
        return TakeNext(word_, clock, kDefaultEpoch, layout_.MaxSequence(), limit, wanted);
    }

    Outcome Refuse(std::int64_t *count)
    {
        (*count)++;
        waiting_ = false;
        return Outcome::kRefused;
    }

    void CountWait(const Step &step)
    {
        if (IsFloor(step.word))
            tally.floor_waits++;
        else if (step.status == Status::kExhausted)
            tally.sequence_waits++;
        else if (step.gap_ns >= kMs)
            tally.clock_waits++;
    }

    bool TakeFloor()
    {
        const MarkRecord *mark = disk.Newest();
        if (mark != nullptr) {
            const std::int64_t floor = FloorOfEnd(mark->end);
            if (floor - clock.Offset() > kMinWindowMs + kMaxClockWaitMs)
                return false;
            // What a cut-off copy has left is settled before anything is written.
            mark_ = *mark;
            disk.Write(mark_);
            disk.Copy(mark_);
            LiftToFloor(word_, floor);
        }
        return floor_taken_ = true;
    }

    /// False if the server crashes meanwhile.
    bool Extend()
    {
        const std::int64_t now = clock.Offset();
        if (now < renew_at_ || is_cut_off)
            return true;
        const Reservation reservation = ReserveFrom(now, kMinWindowMs, claim_end);
        MarkRecord record = mark_;
        record.magic = kMarkMagic;
        record.version = kMarkVersion;
        record.custom_epoch = kDefaultEpoch;
        record.node_id = node_id_;
        record.node_id_bits = layout_.NodeIdBits();
        record.generation++;
        record.end = std::max(reservation.end, mark_.end);

        if (cut == Cut::kBeforeWrite)
            return false;
        if (cut == Cut::kInWrite) {
            tally.torn_writes++;
            disk.Tear(record);
            return false;
        }
        disk.Write(record);
        if (cut == Cut::kAfterSync)
            return false;
        mark_ = record;
        end_ = reservation.end;
        renew_at_ = reservation.renew_at;
        tally.extensions++;
        is_cut_off = cut == Cut::kBeforeCopy;
        if (!is_cut_off)
            disk.Copy(record);
        return true;
    }

    Layout layout_;
    std::int32_t node_id_;
    Word word_;
    std::int64_t renew_at_ = 0;
    std::int64_t end_ = 0;
    bool floor_taken_ = false;
    MarkRecord mark_{};

    bool waiting_ = false;
    Patience patience_{kMaxClockWaitMs, kMinWindowMs};
};

} // namespace timeshard::fleet
