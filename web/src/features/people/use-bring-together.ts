import { useQueryClient } from "@tanstack/react-query";
import { refreshPeople, undo, useMerge } from "@/client/people";
import { toast } from "@/components/toast";
import { explain } from "@/lib/explain";
import { useLanguage } from "@/lib/i18n";

interface Named {
  person_id: string;
  name: string;
}

/** Two entries of one person become one, which keeps the name of `into`; undone by the message that says so. */
export function useBringTogether() {
  const { t } = useLanguage();
  const queries = useQueryClient();
  const merge = useMerge();
  const bring = async (into: Named, from: Named): Promise<boolean> => {
    try {
      const merged = await merge.mutateAsync({ into: into.person_id, from: from.person_id });
      toast(t("merge.done", { name: into.name }), async () => {
        await undo(merged.undo_id);
        await refreshPeople(queries);
      });
      return true;
    } catch (error) {
      toast(explain(error, t));
      return false;
    }
  };
  return { bring, busy: merge.isPending };
}
