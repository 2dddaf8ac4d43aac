/** The person's decisions on what agents propose: applied to the document, told to the kernel, and run. */
import type { Decided, Propose, RunOf } from '../../protocol';
import type { Changes } from './changes';
import type { Editor } from './editor';
import type { Open, Proposals } from './proposals';
import type { Request, Requests } from './requests';
import { baseOf } from './texts';

/** VS Code does not tell the id of a request: the kernel knows the run by the cell's key and text. */
export const runOf = (key: string): RunOf => ({ key, msg_id: null });

export class Decisions {
  constructor(
    private readonly editor: Editor,
    private readonly proposals: Proposals,
    private readonly changes: Changes,
    private readonly requests: Requests,
    private readonly tell: () => Promise<void>
  ) {}

  /** Accepts or rejects changes, those of one proposal together. */
  async decide(open: readonly Open[], accepted: boolean): Promise<void> {
    for (const op_id of new Set(open.map(one => one.order.op_id))) {
      const together = open.filter(one => one.order.op_id === op_id && this.proposals.isOpen(op_id, one.index));
      if (together.length && accepted) await this.accept(together[0]!.order, together);
      else for (const one of together) await this.requests.send(this.decision(one, 'rejected', null, []));
    }
    this.editor.redraw();
  }

  /** Tells the kernel which proposed changes have no cell any more. */
  async dropGone(): Promise<void> {
    const decisions = this.proposals.gone(this.editor.cells()).map(one => this.decision(one, 'gone', null, []));
    for (const decision of decisions) await this.requests.send(decision);
  }

  private async accept(order: Propose, together: readonly Open[]): Promise<void> {
    const changes = this.proposals.applicable(together, this.editor.cells(), baseOf);
    const result = await this.changes.apply(order.author, order.op_id, changes);
    if (!('added' in result)) {
      this.editor.say(result.result === 'refused' ? result.message : 'The notebook has changed meanwhile: look at the proposal again.');
      return this.dropGone();
    }
    const decisions = together.map(one => {
      const made = one.change.kind === 'insert' ? (result.added.get(one.change.token) ?? null) : null;
      const key = made ?? ('key' in one.change ? one.change.key : null);
      return this.decision(one, 'accepted', made, result.run.filter(run => run === key));
    });
    await this.tell();
    for (const decision of decisions) await this.requests.send(decision);
    this.editor.run(result.run);
  }

  private decision(one: Open, decision: Decided['decision'], key: string | null, runs: readonly string[]): Request<Decided> {
    const { op_id } = one.order;
    const code = decision === 'accepted' ? this.proposals.editOf(op_id, one.index) : null;
    const rest = this.proposals.decide(one, key);
    return { op: 'decided', op_id, change: one.index, decision, rest, code, key, runs: runs.map(runOf) };
  }
}
