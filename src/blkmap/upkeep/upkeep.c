// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * upkeep.c - life cycle and counters of what is done behind requests.
 */
#include "blkmap/upkeep/upkeep.h"

#include "blkmap/upkeep/dedup.h"
#include "blkmap/upkeep/recompress.h"
#include "blkmap/upkeep/spiller.h"

int upkeep_init(struct upkeep *upkeep, struct content *content, const struct blkmap_params *params,
		char error_text[256])
{
	int error = 0;

	upkeep->slots = content->slots;
	upkeep->beside = params->beside;
	upkeep->folder.codecs = content->codecs;
	mutex_init(&upkeep->thread_lock, ZT_RANK_UPKEEP);
	cond_init(&upkeep->thread_cond);
	if (params->recompress)
		error = recomp_create(content, &upkeep->folder, params, error_text,
				      &upkeep->recomp);
	if (!error && upkeep->slots->spill)
		error = spiller_create(&upkeep->folder, params, error_text, &upkeep->spiller);
	if (error)
		upkeep_exit(upkeep);
	return error;
}

void upkeep_exit(struct upkeep *upkeep)
{
	spiller_destroy(upkeep->spiller);
	recomp_destroy(upkeep->recomp);
	cond_exit(&upkeep->thread_cond);
	mutex_exit(&upkeep->thread_lock);
}

int upkeep_start(struct upkeep *upkeep)
{
	int error = maintain_start(upkeep);

	if (!error && upkeep->recomp)
		error = recomp_start(upkeep->recomp, recomp_psi_open(RECOMP_PSI_FILE));
	if (!error && upkeep->spiller)
		error = spiller_start(upkeep->spiller, recomp_psi_open(RECOMP_PSI_FILE));
	return error;
}

void upkeep_stop(struct upkeep *upkeep)
{
	maintain_stop(upkeep);
	spiller_stop(upkeep->spiller);
	recomp_stop(upkeep->recomp);
}

void upkeep_get_stat(const struct upkeep *upkeep, struct blkmap_stat *out_stat)
{
	out_stat->folds = atomic_load_explicit(&upkeep->folder.folds, memory_order_relaxed);
	spiller_get_stat(upkeep->spiller, out_stat);
	if (!upkeep->recomp)
		return;
	recomp_get_stat(upkeep->recomp, out_stat);
	dedup_get_stat(upkeep->recomp->dedup, out_stat);
}
